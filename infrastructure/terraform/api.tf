# The REST API: its routes as a table, and what API Gateway makes of them. api_stage.tf publishes it.

locals {
  # access: "key" needs a key or a token; "open" is signed (webhooks, links in e-mails) or tells nothing (healthz).
  # body: whether a JSON object is expected. query: what a cached answer depends on beside path and credentials.
  routes = {
    "POST /transaction"               = { function = "transaction", access = "key", body = true, query = [] }
    "GET /transaction/{id}"           = { function = "user_response", access = "key", body = false, query = [] }
    "GET /transaction/{id}/reasons"   = { function = "user_response", access = "key", body = false, query = [] }
    "POST /transaction/{id}/label"    = { function = "user_response", access = "key", body = true, query = [] }
    "GET /transactions"               = { function = "user_response", access = "key", body = false, query = ["user_id", "status", "limit", "cursor"] }
    "GET /accounts"                   = { function = "accounts", access = "key", body = false, query = ["limit", "cursor"] }
    "GET /accounts/{user_id}"         = { function = "accounts", access = "key", body = false, query = [] }
    "PUT /accounts/{user_id}"         = { function = "accounts", access = "key", body = true, query = [] }
    "DELETE /accounts/{user_id}/hold" = { function = "accounts", access = "key", body = false, query = [] }
    "POST /webhook/twilio"            = { function = "webhook", access = "open", body = false, query = [] }
    "POST /webhook/twilio/status"     = { function = "webhook", access = "open", body = false, query = [] }
    "GET /answer/{token+}"            = { function = "user_response", access = "open", body = false, query = [] }
    "HEAD /answer/{token+}"           = { function = "user_response", access = "open", body = false, query = [] }
    "POST /answer/{token+}"           = { function = "user_response", access = "open", body = false, query = [] }
    "GET /healthz"                    = { function = "user_response", access = "open", body = false, query = [] }
  }

  methods = {
    for route, fields in local.routes : route => merge(fields, {
      method     = split(" ", route)[0]
      path       = split(" ", route)[1]
      parameters = [for name in regexall("{([a-z_]+)\\+?}", route) : name[0]]
      cached     = var.cache.enabled && fields.access == "key" && startswith(route, "GET ")
    })
  }

  # Every resource on the way to a route, by its depth: Terraform cannot refer from one to another of the same block.
  paths  = distinct([for method in local.methods : method.path])
  parts  = [for path in local.paths : split("/", trimprefix(path, "/"))]
  first  = toset([for parts in local.parts : "/${parts[0]}"])
  second = toset([for parts in local.parts : "/${join("/", slice(parts, 0, 2))}" if length(parts) > 1])
  third  = toset([for parts in local.parts : "/${join("/", slice(parts, 0, 3))}" if length(parts) > 2])

  resource_ids = merge(
    { for path, resource in aws_api_gateway_resource.first : path => resource.id },
    { for path, resource in aws_api_gateway_resource.second : path => resource.id },
    { for path, resource in aws_api_gateway_resource.third : path => resource.id },
  )

  cors_methods = {
    for path in local.paths : path => join(",", concat(
      [for method in local.methods : method.method if method.path == path], ["OPTIONS"],
    ))
    # The page behind a link is for the person who opens it: no other site's script has anything to do there.
    if !startswith(path, "/answer")
  }

  credential_headers = ["method.request.header.X-API-Key", "method.request.header.Authorization"]
  authorization_kind = { api_key = "NONE", cognito = "COGNITO_USER_POOLS", jwt = "CUSTOM" }[var.authorization]
}

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name_prefix
  description = "Payments in, decisions out; webhooks of Twilio; the page behind a link"

  endpoint_configuration {
    types = ["REGIONAL"]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "first" {
  for_each = local.first

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = basename(each.key)
}

resource "aws_api_gateway_resource" "second" {
  for_each = local.second

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.first[dirname(each.key)].id
  path_part   = basename(each.key)
}

resource "aws_api_gateway_resource" "third" {
  for_each = local.third

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.second[dirname(each.key)].id
  path_part   = basename(each.key)
}

resource "aws_api_gateway_authorizer" "this" {
  count = var.authorization == "api_key" ? 0 : 1

  name            = "${var.name_prefix}-${var.authorization}"
  rest_api_id     = aws_api_gateway_rest_api.this.id
  type            = var.authorization == "cognito" ? "COGNITO_USER_POOLS" : "TOKEN"
  provider_arns   = var.authorization == "cognito" ? var.cognito.user_pool_arns : null
  identity_source = "method.request.header.Authorization"
  authorizer_uri = var.authorization == "cognito" ? null : (
    "arn:${local.partition}:apigateway:${var.region}:lambda:path/2015-03-31/functions/${local.arn_of.lambda}:function:${coalesce(var.jwt_authorizer_function, "none")}/invocations"
  )
}

resource "aws_lambda_permission" "authorizer" {
  count = var.authorization == "jwt" ? 1 : 0

  statement_id  = "${var.name_prefix}-api-authorizes"
  action        = "lambda:InvokeFunction"
  function_name = var.jwt_authorizer_function
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/authorizers/${aws_api_gateway_authorizer.this[0].id}"
}

# What is no JSON object is refused here and costs no function's time. Everything else about a body is the function's to
# say: it names every fault at once (422), which API Gateway cannot.
resource "aws_api_gateway_model" "json_object" {
  rest_api_id  = aws_api_gateway_rest_api.this.id
  name         = "JsonObject"
  description  = "Any JSON object"
  content_type = "application/json"
  schema = jsonencode({
    "$schema" = "http://json-schema.org/draft-04/schema#"
    title     = "JsonObject"
    type      = "object"
  })
}

resource "aws_api_gateway_request_validator" "this" {
  rest_api_id                 = aws_api_gateway_rest_api.this.id
  name                        = "body-and-parameters"
  validate_request_body       = true
  validate_request_parameters = true
}

resource "aws_api_gateway_method" "this" {
  for_each = local.methods

  rest_api_id          = aws_api_gateway_rest_api.this.id
  resource_id          = local.resource_ids[each.value.path]
  http_method          = each.value.method
  authorization        = each.value.access == "key" ? local.authorization_kind : "NONE"
  authorizer_id        = each.value.access == "key" ? one(aws_api_gateway_authorizer.this[*].id) : null
  authorization_scopes = each.value.access == "key" && var.authorization == "cognito" && length(var.cognito.scopes) > 0 ? var.cognito.scopes : null
  api_key_required     = each.value.access == "key" && var.authorization == "api_key"
  request_validator_id = aws_api_gateway_request_validator.this.id
  request_models       = each.value.body ? { "application/json" = aws_api_gateway_model.json_object.name } : null

  request_parameters = merge(
    { for name in each.value.parameters : "method.request.path.${name}" => true },
    each.value.cached ? { for name in each.value.query : "method.request.querystring.${name}" => false } : {},
    each.value.cached ? { for header in local.credential_headers : header => false } : {},
  )
}

resource "aws_api_gateway_integration" "this" {
  for_each = local.methods

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resource_ids[each.value.path]
  http_method             = aws_api_gateway_method.this[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST" # how Lambda is invoked, whatever the route's method
  uri                     = aws_lambda_function.this[each.value.function].invoke_arn

  cache_key_parameters = !each.value.cached ? null : concat(
    [for name in each.value.parameters : "method.request.path.${name}"],
    [for name in each.value.query : "method.request.querystring.${name}"],
    local.credential_headers,
  )
}

resource "aws_lambda_permission" "api" {
  for_each = local.methods

  statement_id  = "api-${lower(each.value.method)}${replace(replace(each.value.path, "/[{}+]/", ""), "/", "-")}"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this[each.value.function].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${var.stage_name}/${each.value.method}${replace(each.value.path, "/{[a-z_]+\\+?}/", "*")}"
}
