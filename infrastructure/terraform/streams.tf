# How the table's stream wakes Score: with new payments alone, else its own writes would wake it again.

resource "aws_lambda_event_source_mapping" "score" {
  event_source_arn = aws_dynamodb_table.this["transactions"].stream_arn
  function_name    = aws_lambda_function.this["score"].arn

  # What was recorded while there was no mapping is scored too; scoring twice changes nothing.
  starting_position = "TRIM_HORIZON"

  batch_size                         = var.stream.batch_size
  maximum_batching_window_in_seconds = var.stream.window_s
  parallelization_factor             = var.stream.parallelization_factor

  # One bad record holds up its shard as long as these allow, then it is set aside.
  bisect_batch_on_function_error = true
  maximum_retry_attempts         = var.stream.retries
  maximum_record_age_in_seconds  = var.stream.age_max_s
  function_response_types        = ["ReportBatchItemFailures"]

  filter_criteria {
    filter {
      pattern = jsonencode({
        eventName = ["INSERT"]
        dynamodb  = { NewImage = { status = { S = ["pending"] } } }
      })
    }
  }

  destination_config {
    on_failure {
      destination_arn = aws_sqs_queue.given_up.arn
    }
  }

  depends_on = [aws_iam_role_policy.function]
}

# What the stream gave up on goes to review by Sweep. The queue's own redrive is this mapping's failure destination.
resource "aws_lambda_event_source_mapping" "given_up" {
  event_source_arn        = aws_sqs_queue.given_up.arn
  function_name           = aws_lambda_function.this["sweep"].arn
  batch_size              = 1
  function_response_types = ["ReportBatchItemFailures"]

  depends_on = [aws_iam_role_policy.function]
}
