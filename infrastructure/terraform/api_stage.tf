# The stage: what API Gateway answers by itself, throttling, cache, logs, keys.

locals {
  stage_url  = "https://${aws_api_gateway_rest_api.this.id}.execute-api.${var.region}.${local.dns_suffix}/${var.stage_name}"
  public_url = coalesce(var.public_url, local.stage_url)

  # The same problem details as the functions answer (RFC 9457), instead of API Gateway's own.
  gateway_problems = {
    BAD_REQUEST_BODY             = { status = "400", type = "malformed", title = "The request cannot be read", detail = "The body must be a JSON object", retry_s = null }
    BAD_REQUEST_PARAMETERS       = { status = "400", type = "malformed", title = "The request cannot be read", detail = "A parameter is missing", retry_s = null }
    UNAUTHORIZED                 = { status = "401", type = "unauthenticated", title = "An API key is needed", detail = "The request carries no valid token", retry_s = null }
    INVALID_API_KEY              = { status = "401", type = "unauthenticated", title = "An API key is needed", detail = "The request carries no valid key in X-API-Key", retry_s = null }
    EXPIRED_TOKEN                = { status = "401", type = "unauthenticated", title = "An API key is needed", detail = "The token has expired", retry_s = null }
    ACCESS_DENIED                = { status = "403", type = "forbidden", title = "Not allowed", detail = "Not allowed", retry_s = null }
    WAF_FILTERED                 = { status = "403", type = "forbidden", title = "Not allowed", detail = "The firewall refused the request", retry_s = null }
    MISSING_AUTHENTICATION_TOKEN = { status = "404", type = "not-found", title = "There is no such thing", detail = "There is no such route", retry_s = null }
    RESOURCE_NOT_FOUND           = { status = "404", type = "not-found", title = "There is no such thing", detail = "There is no such route", retry_s = null }
    REQUEST_TOO_LARGE            = { status = "413", type = "too-large", title = "The body is too large", detail = "The body is too large", retry_s = null }
    UNSUPPORTED_MEDIA_TYPE       = { status = "415", type = "unsupported-media-type", title = "The body must be JSON", detail = "The body must be JSON", retry_s = null }
    THROTTLED                    = { status = "429", type = "too-many-requests", title = "Too many requests", detail = "Too many requests", retry_s = 1 }
    QUOTA_EXCEEDED               = { status = "429", type = "too-many-requests", title = "Too many requests", detail = "The key's quota of today is used up", retry_s = 3600 }
    INTEGRATION_FAILURE          = { status = "503", type = "unavailable", title = "The service cannot take this now", detail = "Try again", retry_s = 1 }
    INTEGRATION_TIMEOUT          = { status = "503", type = "unavailable", title = "The service cannot take this now", detail = "Try again", retry_s = 1 }
    DEFAULT_5XX                  = { status = "500", type = "internal", title = "Something broke on our side", detail = "Something broke on our side", retry_s = null }
  }
}

resource "aws_api_gateway_gateway_response" "this" {
  for_each = local.gateway_problems

  rest_api_id   = aws_api_gateway_rest_api.this.id
  response_type = each.key
  status_code   = each.value.status

  response_templates = {
    "application/json" = jsonencode({
      type   = "urn:cardwatch:problem:${each.value.type}"
      title  = each.value.title
      status = tonumber(each.value.status)
      detail = each.value.detail
    })
  }

  response_parameters = merge(
    {
      "gatewayresponse.header.Access-Control-Allow-Origin" = "'${var.cors_origin}'"
      "gatewayresponse.header.Content-Type"                = "'application/problem+json'"
      "gatewayresponse.header.X-Request-Id"                = "context.requestId"
    },
    { for seconds in each.value.retry_s[*] : "gatewayresponse.header.Retry-After" => "'${seconds}'" },
  )
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # Published again whenever something changes that a published API does not take up by itself.
  triggers = {
    content = sha256(jsonencode([
      local.methods, local.cors_methods, local.gateway_problems, var.cors_origin, var.authorization, var.cognito,
      var.jwt_authorizer_function, [for file in ["api", "api_cors", "api_stage"] : filesha256("${path.module}/${file}.tf")],
    ]))
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [
    aws_api_gateway_integration.this,
    aws_api_gateway_integration_response.cors,
    aws_api_gateway_gateway_response.this,
  ]
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id           = aws_api_gateway_rest_api.this.id
  deployment_id         = aws_api_gateway_deployment.this.id
  stage_name            = var.stage_name
  xray_tracing_enabled  = var.xray_enabled
  cache_cluster_enabled = var.cache.enabled
  cache_cluster_size    = var.cache.enabled ? var.cache.size_gb : null

  # The route, never the path: paths carry ids and the tokens of links. No address either.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      request_id        = "$context.requestId"
      time              = "$context.requestTimeEpoch"
      method            = "$context.httpMethod"
      route             = "$context.resourcePath"
      status            = "$context.status"
      ms                = "$context.responseLatency"
      function_ms       = "$context.integration.latency"
      function_status   = "$context.integration.status"
      error             = "$context.error.responseType"
      key_id            = "$context.identity.apiKeyId"
      firewall          = "$context.wafResponseCode"
      response_bytes    = "$context.responseLength"
      extended_request  = "$context.extendedRequestId"
      trace             = "$context.xrayTraceId"
      integration_error = "$context.integration.integrationStatus"
    })
  }

  depends_on = [aws_api_gateway_account.this, aws_cloudwatch_log_group.api_errors]
}

resource "aws_api_gateway_method_settings" "all" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    metrics_enabled                            = true
    logging_level                              = "ERROR" # INFO would log paths, and with them the tokens of links
    data_trace_enabled                         = false   # bodies hold personal data
    throttling_rate_limit                      = var.throttling.rate
    throttling_burst_limit                     = var.throttling.burst
    caching_enabled                            = false
    cache_data_encrypted                       = true
    require_authorization_for_cache_control    = true
    unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
  }
}

resource "aws_api_gateway_method_settings" "cached" {
  for_each = { for route, method in local.methods : route => method if method.cached }

  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "${trimprefix(each.value.path, "/")}/${each.value.method}"

  settings {
    metrics_enabled                            = true
    logging_level                              = "ERROR"
    data_trace_enabled                         = false
    throttling_rate_limit                      = var.throttling.rate
    throttling_burst_limit                     = var.throttling.burst
    caching_enabled                            = true
    cache_ttl_in_seconds                       = var.cache.ttl_s
    cache_data_encrypted                       = true
    require_authorization_for_cache_control    = true
    unauthorized_cache_control_header_strategy = "SUCCEED_WITHOUT_RESPONSE_HEADER"
  }

  depends_on = [aws_api_gateway_method_settings.all]
}

resource "aws_api_gateway_usage_plan" "this" {
  count = var.authorization == "api_key" ? 1 : 0

  name        = var.name_prefix
  description = "Limits of each key"

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }
  throttle_settings {
    rate_limit  = var.throttling.key_rate
    burst_limit = var.throttling.key_burst
  }
  quota_settings {
    limit  = var.throttling.key_daily_max
    period = "DAY"
  }
}

resource "aws_api_gateway_api_key" "this" {
  for_each = var.authorization == "api_key" ? var.api_key_names : []

  name = "${var.name_prefix}-${each.value}"
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = aws_api_gateway_api_key.this

  key_id        = each.value.id
  key_type      = "API_KEY"
  usage_plan_id = aws_api_gateway_usage_plan.this[0].id
}

# How API Gateway writes logs: one role for the account and region. AWS documents its trust without conditions.
data "aws_iam_policy_document" "api_gateway_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "api_logs" {
  count = var.manage_api_gateway_account ? 1 : 0

  name               = "${var.name_prefix}-ApiLogs-${var.region}"
  description        = "How API Gateway writes logs"
  assume_role_policy = data.aws_iam_policy_document.api_gateway_assumes.json
}

resource "aws_iam_role_policy_attachment" "api_logs" {
  count = var.manage_api_gateway_account ? 1 : 0

  role = aws_iam_role.api_logs[0].name
  # API Gateway tests for just what AWS put into this policy.
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = var.manage_api_gateway_account ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.api_logs[0].arn

  depends_on = [aws_iam_role_policy_attachment.api_logs]
}
