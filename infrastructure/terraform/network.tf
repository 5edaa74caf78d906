# Endpoints for what functions in a VPC call there, so that this traffic never crosses the internet. By variable.
# E-mail goes the way that texts go, by NAT: SES has its endpoint in some regions only.

locals {
  endpoints         = var.network != null ? var.network.create_endpoints : false
  gateway_endpoints = local.endpoints ? toset(["dynamodb"]) : toset([])
  interface_endpoints = local.endpoints ? toset(concat(
    ["lambda", "logs", "secretsmanager", "sqs"],
    var.xray_enabled ? ["xray"] : [],
    var.scorer == "sagemaker" ? ["sagemaker.runtime"] : [],
  )) : toset([])
}

resource "aws_security_group" "functions" {
  count = var.network == null ? 0 : 1

  name        = "${var.name_prefix}-functions"
  description = "Functions: out by HTTPS alone"
  vpc_id      = var.network.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "functions_https" {
  count = var.network == null ? 0 : 1

  security_group_id = aws_security_group.functions[0].id
  description       = "AWS, Twilio and other providers"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_security_group" "endpoints" {
  count = local.endpoints ? 1 : 0

  name        = "${var.name_prefix}-endpoints"
  description = "Endpoints: in by HTTPS from the functions"
  vpc_id      = var.network.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "endpoints_https" {
  count = local.endpoints ? 1 : 0

  security_group_id            = aws_security_group.endpoints[0].id
  description                  = "From the functions"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.functions[0].id
}

data "aws_iam_policy_document" "dynamodb_endpoint" {
  statement {
    sid = "TheTablesAlone"
    actions = [
      "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:DescribeTable",
      "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
    ]
    resources = flatten([
      for key, table in local.tables : concat(
        [local.table_arns[key]],
        [for index in keys(table.indexes) : "${local.table_arns[key]}/index/${index}"],
      )
    ])

    principals {
      type        = "AWS"
      identifiers = [for key in sort(keys(local.functions)) : aws_iam_role.function[key].arn]
    }
  }
}

resource "aws_vpc_endpoint" "gateway" {
  for_each = local.gateway_endpoints

  vpc_id            = var.network.vpc_id
  service_name      = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.network.route_table_ids
  policy            = data.aws_iam_policy_document.dynamodb_endpoint.json
}

resource "aws_vpc_endpoint" "interface" {
  for_each = local.interface_endpoints

  vpc_id              = var.network.vpc_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.network.subnet_ids
  security_group_ids  = aws_security_group.endpoints[*].id
  private_dns_enabled = true
}
