# The firewall before the API. Webhooks pass by the rules that read bodies: a cardholder may write anything, Twilio
# posts from few addresses, and what it posts is proved by its signature.

locals {
  waf_logging = var.waf.enabled && var.waf.logging_enabled

  # The stage's own URL has the stage in its path, a domain before it what was mapped there.
  webhook_bases = distinct(compact([
    "/${var.stage_name}", var.public_url == null ? "" : replace(var.public_url, "/^https:..[^/]+/", ""),
  ]))
  webhook_root  = var.public_url == null ? false : can(regex("^https://[^/]+$", var.public_url))
  webhook_paths = "^(${join("|", local.webhook_bases)})${local.webhook_root ? "?" : ""}/webhook/twilio(/status)?$"

  managed_rules = {
    AWSManagedRulesAmazonIpReputationList = { priority = 10, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 20, counted = [] }
    # Bodies of up to 64 KiB are fine here; the functions refuse larger ones.
    AWSManagedRulesCommonRuleSet = { priority = 30, counted = ["SizeRestrictions_BODY"] }
  }
}

resource "aws_wafv2_web_acl" "this" {
  count = var.waf.enabled ? 1 : 0

  name        = var.name_prefix
  description = "Before the API"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  rule {
    name     = "rate"
    priority = 1

    action {
      block {
        custom_response {
          response_code = 429
          response_header {
            name  = "Retry-After"
            value = "300"
          }
        }
      }
    }

    statement {
      rate_based_statement {
        limit              = var.waf.rate_per_5_min
        aggregate_key_type = "IP"

        scope_down_statement {
          not_statement {
            statement {
              regex_match_statement {
                regex_string = local.webhook_paths

                field_to_match {
                  uri_path {}
                }
                text_transformation {
                  priority = 0
                  type     = "NORMALIZE_PATH"
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name_prefix}-rate"
      sampled_requests_enabled   = false # samples would show paths
    }
  }

  dynamic "rule" {
    for_each = local.managed_rules
    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          name        = rule.key
          vendor_name = "AWS"

          dynamic "rule_action_override" {
            for_each = rule.value.counted
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }

          scope_down_statement {
            not_statement {
              statement {
                regex_match_statement {
                  regex_string = local.webhook_paths

                  field_to_match {
                    uri_path {}
                  }
                  text_transformation {
                    priority = 0
                    type     = "NORMALIZE_PATH"
                  }
                }
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${var.name_prefix}-${rule.key}"
        sampled_requests_enabled   = false
      }
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name_prefix
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "api" {
  count = var.waf.enabled ? 1 : 0

  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this[0].arn
}

data "aws_iam_policy_document" "waf_logs" {
  statement {
    sid       = "FirewallWrites"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn_of.logs}:log-group:aws-waf-logs-${var.name_prefix}:*"]

    principals {
      type        = "Service"
      identifiers = ["delivery.logs.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "waf" {
  count = local.waf_logging ? 1 : 0

  policy_name     = "${var.name_prefix}-waf"
  policy_document = data.aws_iam_policy_document.waf_logs.json
}

# What was refused, without keys, signatures, tokens of links and query.
resource "aws_wafv2_web_acl_logging_configuration" "this" {
  count = local.waf_logging ? 1 : 0

  resource_arn            = aws_wafv2_web_acl.this[0].arn
  log_destination_configs = [aws_cloudwatch_log_group.waf[0].arn]

  dynamic "redacted_fields" {
    for_each = ["authorization", "cookie", "x-api-key", "x-twilio-signature"]
    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }
  redacted_fields {
    uri_path {}
  }
  redacted_fields {
    query_string {}
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
      condition {
        action_condition {
          action = "COUNT"
        }
      }
    }
  }

  depends_on = [aws_cloudwatch_log_resource_policy.waf]
}
