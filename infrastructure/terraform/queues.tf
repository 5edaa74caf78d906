# A queue for each function: what it could not handle, with its cause. What lies there is kept for 14 days.
# And one for what the stream gave up on, which Sweep reads: it sends those payments to review.

locals {
  given_up_name = "${local.functions.score.name}-GivenUp"
  given_up_arn  = "${local.arn_of.sqs}:${local.given_up_name}"

  queue_names = { for key, function in local.functions : key => "${function.name}-DLQ" }
  queue_arns  = { for key, name in local.queue_names : key => "${local.arn_of.sqs}:${name}" }
}

resource "aws_sqs_queue" "failures" {
  for_each = local.queue_names

  name                              = each.value
  message_retention_seconds         = 1209600 # the longest that SQS keeps
  kms_master_key_id                 = aws_kms_key.this.arn
  kms_data_key_reuse_period_seconds = 3600
}

resource "aws_sqs_queue" "given_up" {
  name                              = local.given_up_name
  message_retention_seconds         = 1209600
  visibility_timeout_seconds        = 6 * local.functions.sweep.timeout # AWS: six times that of the function
  kms_master_key_id                 = aws_kms_key.this.arn
  kms_data_key_reuse_period_seconds = 3600

  # What Sweep cannot handle either stays in Score's queue.
  redrive_policy = jsonencode({
    deadLetterTargetArn = local.queue_arns.score
    maxReceiveCount     = 5
  })

  depends_on = [aws_sqs_queue.failures]
}
