# One page: is it running, is the model right, what does it hold.

locals {
  # Widgets in rows of three, 8 wide and 6 high, in their order here.
  widgets = concat(
    [
      { title = "Payments by decision", stat = "Sum", metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},by,outcome} MetricName=\"decisions_total\"', 'Sum', 300)", id = "decisions", label = "" }],
      ] },
      # What the model makes of payments: a shift here is a shift in payments, in features or in the model.
      { title = "Scores: percentiles", stat = "p50", metrics = [
        [var.metrics_namespace, "fraud_score", { stat = "p50" }],
        ["...", { stat = "p90" }],
        ["...", { stat = "p99" }],
        ["...", { stat = "p99.9" }],
      ] },
      { title = "Scores: share of payments, percent", stat = "PR(0.5:)", metrics = [
        [var.metrics_namespace, "fraud_score", { stat = "PR(:0.01)", label = "below 0.01" }],
        ["...", { stat = "PR(0.01:0.1)", label = "0.01 to 0.1" }],
        ["...", { stat = "PR(0.1:0.5)", label = "0.1 to 0.5" }],
        ["...", { stat = "PR(0.5:)", label = "0.5 and above" }],
      ] },
      # Of the questions that were answered, how many payments were fraud indeed.
      { title = "Alert precision and answer rate, percent", stat = "Sum", period = 86400, metrics = [
        [{ expression = "100 * FILL(denied, 0) / ${local.answered}", id = "precision", label = "Denied, of answered" }],
        [{ expression = "100 * ${local.answered} / ${local.ended}", id = "rate", label = "Answered, of ended" }],
        [var.metrics_namespace, "replies_total", "outcome", "confirmed", { id = "confirmed", visible = false }],
        [".", ".", ".", "denied", { id = "denied", visible = false }],
        [".", "challenges_total", ".", "expired", { id = "expired", visible = false }],
      ] },
      { title = "Replies", stat = "Sum", metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},outcome} MetricName=\"replies_total\"', 'Sum', 300)", id = "replies", label = "" }],
      ] },
      { title = "Labels that changed feature state", stat = "Sum", metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},change} MetricName=\"labels_applied_total\"', 'Sum', 300)", id = "labels", label = "" }],
      ] },
      { title = "Messages by result", stat = "Sum", metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},channel,kind,result} MetricName=\"messages_total\"', 'Sum', 300)", id = "messages", label = "" }],
      ] },
      { title = "From receipt to decision, seconds", stat = "p50", metrics = [
        [var.metrics_namespace, "decision_seconds", { stat = "p50" }],
        ["...", { stat = "p99" }],
      ] },
      { title = "Stream: age of the oldest record, ms", stat = "Maximum", metrics = [
        ["AWS/Lambda", "IteratorAge", "FunctionName", local.functions.score.name],
      ] },
      { title = "Stream records by what became of them", stat = "Sum", metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},result} MetricName=\"stream_records_total\"', 'Sum', 300)", id = "records", label = "" }],
        [var.metrics_namespace, "state_races_total", { label = "decided again: another payment changed the state" }],
      ] },
      { title = "Functions: errors", stat = "Sum", metrics = [
        for key in keys(local.functions) : ["AWS/Lambda", "Errors", "FunctionName", local.functions[key].name]
      ] },
      { title = "Functions: duration p99, ms", stat = "p99", metrics = [
        for key in keys(local.functions) : ["AWS/Lambda", "Duration", "FunctionName", local.functions[key].name]
      ] },
      { title = "API: requests and errors", stat = "Sum", metrics = [
        for metric in ["Count", "4XXError", "5XXError"] :
        ["AWS/ApiGateway", metric, "ApiName", var.name_prefix, "Stage", var.stage_name]
      ] },
      { title = "Queues of what could not be handled", stat = "Maximum", metrics = [
        for key in keys(local.queue_names) : ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", local.queue_names[key]]
      ] },
      # As DynamoDB says itself, every six hours; Sweep asks.
      { title = "Items by table", stat = "Maximum", period = 3600, metrics = [
        [{ expression = "SEARCH('{${var.metrics_namespace},table} MetricName=\"table_items\"', 'Maximum', 3600)", id = "items", label = "" }],
      ] },
      { title = "Capacity consumed", stat = "Sum", metrics = flatten([
        for key in keys(local.tables) : [
          for metric in ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"] :
          { row = ["AWS/DynamoDB", metric, "TableName", local.tables[key].name] }
        ]
      ])[*].row },
    ],
    length(local.variants) == 0 ? [] : [
      { title = "Endpoint: latency p99, microseconds", stat = "p99", metrics = [
        for variant in local.variants :
        ["AWS/SageMaker", "ModelLatency", "EndpointName", var.sagemaker_endpoint_name, "VariantName", variant]
      ] },
      { title = "Endpoint: requests", stat = "Sum", metrics = [
        for variant in local.variants :
        ["AWS/SageMaker", "Invocations", "EndpointName", var.sagemaker_endpoint_name, "VariantName", variant]
      ] },
    ],
  )
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name_prefix

  dashboard_body = jsonencode({
    widgets = [
      for index, widget in local.widgets : {
        type   = "metric"
        x      = index % 3 * 8
        y      = floor(index / 3) * 6
        width  = 8
        height = 6
        properties = {
          title   = widget.title
          region  = var.region
          view    = "timeSeries"
          stat    = widget.stat
          period  = try(widget.period, 300)
          metrics = widget.metrics
        }
      }
    ]
  })
}
