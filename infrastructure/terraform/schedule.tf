# Sweep by the clock: what time alone brings about, and what an invocation lost.

data "aws_iam_policy_document" "scheduler_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    sid       = "WakesSweep"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.functions.sweep.arn]
  }

  statement {
    sid       = "SetsAside"
    actions   = ["sqs:SendMessage"]
    resources = [local.queue_arns.sweep]
  }

  statement {
    sid       = "UsesTheKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.this.arn]
  }
}

resource "aws_iam_role" "scheduler" {
  name               = "${var.name_prefix}-Scheduler-${var.region}"
  description        = "Wakes ${local.functions.sweep.name}"
  assume_role_policy = data.aws_iam_policy_document.scheduler_assumes.json
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "what-it-needs"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}

locals {
  # Looking for payments that nobody decided reads more: less often, and in an invocation of its own.
  schedules = {
    due     = { every = var.sweep.due_every, tasks = ["expire", "escalate", "send"] }
    pending = { every = var.sweep.pending_every, tasks = ["pending"] }
  }
}

resource "aws_scheduler_schedule" "sweep" {
  for_each = local.schedules

  name                = "${local.functions.sweep.name}-${each.key}"
  description         = "Sweep: ${join(", ", each.value.tasks)}"
  schedule_expression = each.value.every
  kms_key_arn         = aws_kms_key.this.arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this["sweep"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ tasks = each.value.tasks })

    # The next one does what this one missed.
    retry_policy {
      maximum_event_age_in_seconds = 60
      maximum_retry_attempts       = 0
    }

    dead_letter_config {
      arn = aws_sqs_queue.failures["sweep"].arn
    }
  }

  depends_on = [aws_iam_role_policy.scheduler]
}
