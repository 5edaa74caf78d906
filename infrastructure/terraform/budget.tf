# A monthly budget, by variable. It alarms; it stops nothing.

locals {
  budget_alarms = {
    "80 percent spent"  = { threshold = 80, type = "ACTUAL" }
    "100 percent spent" = { threshold = 100, type = "ACTUAL" }
    "forecast above it" = { threshold = 100, type = "FORECASTED" }
  }
}

resource "aws_budgets_budget" "this" {
  count = var.budget == null ? 0 : 1

  name         = "${var.name_prefix}-monthly"
  budget_type  = "COST"
  limit_amount = tostring(var.budget.monthly_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  dynamic "notification" {
    for_each = local.budget_alarms
    content {
      comparison_operator       = "GREATER_THAN"
      threshold                 = notification.value.threshold
      threshold_type            = "PERCENTAGE"
      notification_type         = notification.value.type
      subscriber_sns_topic_arns = [aws_sns_topic.alarms.arn]
    }
  }

  depends_on = [aws_sns_topic_policy.alarms]
}
