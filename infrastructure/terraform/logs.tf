# Every log group, made here so that each has its retention and its key.

locals {
  function_log_names = { for key, function in local.functions : key => "/aws/lambda/${function.name}" }
  function_log_arns  = { for key, name in local.function_log_names : key => "${local.arn_of.logs}:log-group:${name}" }
}

resource "aws_cloudwatch_log_group" "functions" {
  for_each = local.function_log_names

  name              = each.value
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

resource "aws_cloudwatch_log_group" "api" {
  name              = "/aws/apigateway/${var.name_prefix}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

# API Gateway names it so, and would make it without a retention.
resource "aws_cloudwatch_log_group" "api_errors" {
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${var.stage_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

# WAF takes no other names than those that begin so.
resource "aws_cloudwatch_log_group" "waf" {
  count = local.waf_logging ? 1 : 0

  name              = "aws-waf-logs-${var.name_prefix}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}
