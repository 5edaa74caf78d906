# What rings, and where. A missing measurement is no alarm unless it says so: a quiet night is not a fault.

locals {
  variants = var.scorer != "sagemaker" ? [] : var.sagemaker == null ? ["champion"] : keys(local.sagemaker_variants)

  # Alarms on a single metric. over: rings above it, in `of` of `of` periods of `period` seconds.
  metric_alarms = merge(
    { for key, function in local.functions : "${function.name}-errors" => {
      text      = "${function.name} failed: look at its log"
      namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = function.name }
      statistic = "Sum", over = 0, period = 300, of = 1
    } },
    { for key, function in local.functions : "${function.name}-throttles" => {
      text      = "${function.name} was not run because concurrency ran out: raise it"
      namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = function.name }
      statistic = "Sum", over = 0, period = 300, of = 1
    } },
    { for key, name in local.queue_names : "${name}-depth" => {
      text      = "Something lies in ${name} that could not be handled"
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = name }
      statistic = "Maximum", over = 0, period = 300, of = 1
    } },
    {
      # Its payments go to review at once; what is left to do is to find out why.
      "${local.given_up_name}" = {
        text      = "The stream gave up on payments: tries spent, or too old"
        namespace = "AWS/SQS", metric = "NumberOfMessagesSent", dimensions = { QueueName = local.given_up_name }
        statistic = "Sum", over = 0, period = 300, of = 1
      }
      "${var.name_prefix}-iterator-age" = {
        text      = "Payments wait for their score: Score is slow, failing or throttled"
        namespace = "AWS/Lambda", metric = "IteratorAge", dimensions = { FunctionName = local.functions.score.name }
        statistic = "Maximum", over = var.alarm_thresholds.iterator_age_ms, period = 60, of = 3
      }
      "${var.name_prefix}-api-errors" = {
        text      = "The API answers with 5xx"
        namespace = "AWS/ApiGateway", metric = "5XXError", dimensions = { ApiName = var.name_prefix, Stage = var.stage_name }
        statistic = "Sum", over = 0, period = 300, of = 2
      }
      "${var.name_prefix}-late-redeliveries" = {
        text      = "A payment came again so late that nobody can tell whether feature state has counted it"
        namespace = var.metrics_namespace, metric = "stream_records_total", dimensions = { result = "doubtful" }
        statistic = "Sum", over = 0, period = 300, of = 1
      }
      "${var.name_prefix}-dead-letters" = {
        text      = "Something was set aside that could not be handled"
        namespace = var.metrics_namespace, metric = "dead_letters_total", dimensions = {}
        statistic = "Sum", over = 0, period = 300, of = 1
      }
      "${var.name_prefix}-provider" = {
        text      = "A provider refuses messages until somebody acts: credentials, sender, registration"
        namespace = var.metrics_namespace, metric = "provider_alarms_total", dimensions = {}
        statistic = "Sum", over = 0, period = 300, of = 1
      }
      "${var.name_prefix}-unscored" = {
        text      = "Payments went to review without a score"
        namespace = var.metrics_namespace, metric = "decisions_total", dimensions = { outcome = "review", by = "fallback" }
        statistic = "Sum", over = 0, period = 300, of = 1
      }
    },
    { for variant in local.variants : "${var.name_prefix}-endpoint-latency-${variant}" => {
      text       = "The model of variant ${variant} is slow"
      namespace  = "AWS/SageMaker", metric = "ModelLatency"
      dimensions = { EndpointName = var.sagemaker_endpoint_name, VariantName = variant }
      statistic  = "p99", over = var.alarm_thresholds.endpoint_latency_ms * 1000, period = 60, of = 3 # microseconds
    } },
  )
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name_prefix}-Alarms"
  kms_master_key_id = aws_kms_key.this.arn
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsOfThisAccountPublish"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.alarm_emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_cloudwatch_metric_alarm" "metric" {
  for_each = local.metric_alarms

  alarm_name          = each.key
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.over
  period              = each.value.period
  evaluation_periods  = each.value.of
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "api_latency" {
  alarm_name          = "${var.name_prefix}-api-latency"
  alarm_description   = "The API is slow"
  namespace           = "AWS/ApiGateway"
  metric_name         = "Latency"
  dimensions          = { ApiName = var.name_prefix, Stage = var.stage_name }
  extended_statistic  = "p99"
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.alarm_thresholds.api_latency_p99_ms
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  # A handful of cold starts at night is not what this is for.
  evaluate_low_sample_count_percentiles = "ignore"
}

# DynamoDB counts throttling apart for reads and writes.
resource "aws_cloudwatch_metric_alarm" "table_throttling" {
  for_each = local.tables

  alarm_name          = "${each.value.name}-throttling"
  alarm_description   = "DynamoDB throttles ${each.value.name}: capacity, or one key too hot"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "throttled"
    expression  = "FILL(reads, 0) + FILL(writes, 0)"
    label       = "Throttled"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { reads = "ReadThrottleEvents", writes = "WriteThrottleEvents" }
    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/DynamoDB"
        metric_name = metric_query.value
        dimensions  = { TableName = each.value.name }
        period      = 300
        stat        = "Sum"
      }
    }
  }
}

# Sweep runs by the clock: silence is a fault here.
resource "aws_cloudwatch_metric_alarm" "sweep_silent" {
  alarm_name          = "${var.name_prefix}-sweep-silent"
  alarm_description   = "Sweep has not run: nothing expires, and what was lost stays lost"
  namespace           = "AWS/Lambda"
  metric_name         = "Invocations"
  dimensions          = { FunctionName = local.functions.sweep.name }
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 3600
  evaluation_periods  = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Of the questions that ended, how many a clear answer ended: texts that do not arrive show here first.
resource "aws_cloudwatch_metric_alarm" "answer_rate" {
  alarm_name          = "${var.name_prefix}-answer-rate"
  alarm_description   = "Cardholders do not answer: are texts delivered, is the webhook set?"
  comparison_operator = "LessThanThreshold"
  threshold           = var.alarm_thresholds.answer_rate_percent
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "rate"
    expression  = "IF(${local.ended} >= ${var.alarm_thresholds.answer_rate_of}, 100 * ${local.answered} / (${local.ended}), 100)"
    label       = "Answered, percent"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = local.answers
    content {
      id = metric_query.key

      metric {
        namespace   = var.metrics_namespace
        metric_name = metric_query.value.metric
        dimensions  = { outcome = metric_query.value.outcome }
        period      = 3600
        stat        = "Sum"
      }
    }
  }
}

locals {
  answers = {
    confirmed = { metric = "replies_total", outcome = "confirmed" }
    denied    = { metric = "replies_total", outcome = "denied" }
    expired   = { metric = "challenges_total", outcome = "expired" }
  }
  answered = "(FILL(confirmed, 0) + FILL(denied, 0))"
  ended    = "(FILL(confirmed, 0) + FILL(denied, 0) + FILL(expired, 0))"
}

# These take a new endpoint config back (sagemaker.tf), so they stand apart from the others.
resource "aws_cloudwatch_metric_alarm" "endpoint_errors" {
  for_each = local.sagemaker_variants

  alarm_name          = "${var.name_prefix}-endpoint-errors-${each.key}"
  alarm_description   = "Variant ${each.key} of the endpoint answers with errors"
  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = { EndpointName = var.sagemaker_endpoint_name, VariantName = each.key }
  statistic           = "Sum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 2
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
