# One role for each function, with what functions.tf says of it and no more. No action has a wildcard.

data "aws_iam_policy_document" "lambda_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name               = "${each.value.name}-${var.region}"
  description        = "What ${each.value.name} may do"
  assume_role_policy = data.aws_iam_policy_document.lambda_assumes.json
}

data "aws_iam_policy_document" "function" {
  for_each = local.functions

  statement {
    sid       = "WritesItsLog"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.function_log_arns[each.key]}:*"] # its streams
  }

  # No Scan: nothing that runs by itself may read a whole table.
  statement {
    sid = "ReadsAndWritesTables"
    actions = [
      "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query",
      "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem",
    ]
    resources = [for table in each.value.tables : local.table_arns[table]]
  }

  statement {
    sid     = "ReadsIndexes"
    actions = ["dynamodb:Query"]
    resources = flatten([
      for table in each.value.tables :
      [for index in keys(local.tables[table].indexes) : "${local.table_arns[table]}/index/${index}"]
    ])
  }

  statement {
    sid       = "SetsAside"
    actions   = ["sqs:SendMessage"]
    resources = each.key == "score" ? [local.queue_arns.score, local.given_up_arn] : [local.queue_arns[each.key]]
  }

  dynamic "statement" {
    for_each = each.key == "sweep" ? [local.given_up_arn] : []
    content {
      sid       = "TakesWhatTheStreamGaveUp"
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
      resources = [statement.value]
    }
  }

  # Tables, queue, secrets and the environment are all under the one key.
  statement {
    sid       = "UsesTheKey"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    resources = [aws_kms_key.this.arn]
  }

  dynamic "statement" {
    for_each = length(each.value.secrets) > 0 ? [each.value.secrets] : []
    content {
      sid       = "ReadsSecrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [for secret in statement.value : aws_secretsmanager_secret.this[secret].arn]
    }
  }

  dynamic "statement" {
    for_each = length(each.value.invokes) > 0 ? [each.value.invokes] : []
    content {
      sid       = "Wakes"
      actions   = ["lambda:InvokeFunction"]
      resources = [for function in statement.value : local.functions[function].arn]
    }
  }

  dynamic "statement" {
    for_each = contains(["score", "sweep"], each.key) ? [local.table_arns.transactions] : []
    content {
      sid       = "ReadsTheStream"
      actions   = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"]
      resources = ["${statement.value}/stream/*"] # named by the time at which AWS made it
    }
  }

  dynamic "statement" {
    for_each = each.key == "score" ? [true] : []
    content {
      sid       = "ListsStreams"
      actions   = ["dynamodb:ListStreams"]
      resources = ["*"] # AWS knows no narrower one
    }
  }

  dynamic "statement" {
    for_each = each.key == "sweep" ? [values(local.table_arns)] : []
    content {
      sid       = "CountsItems"
      actions   = ["dynamodb:DescribeTable"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = each.value.scores && var.scorer == "sagemaker" ? [var.sagemaker_endpoint_name] : []
    content {
      sid       = "AsksTheEndpoint"
      actions   = ["sagemaker:InvokeEndpoint"]
      resources = ["${local.arn_of.sagemaker}:endpoint/${statement.value}"]
    }
  }

  dynamic "statement" {
    for_each = each.key == "notify" ? var.email[*] : []
    content {
      sid     = "SendsEmail"
      actions = ["ses:SendEmail", "ses:SendRawEmail"]
      resources = concat([statement.value.identity_arn], [
        for name in statement.value.configuration_set[*] :
        "${split(":identity/", statement.value.identity_arn)[0]}:configuration-set/${name}"
      ])

      condition {
        test     = "StringEquals"
        variable = "ses:FromAddress"
        values   = [statement.value.from]
      }
    }
  }

  dynamic "statement" {
    for_each = var.xray_enabled ? [true] : []
    content {
      sid       = "Traces"
      actions   = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
      resources = ["*"] # AWS knows no narrower one
    }
  }

  # Lambda asks for these to attach a function to a VPC.
  dynamic "statement" {
    for_each = var.network[*]
    content {
      sid = "AttachesToTheNetwork"
      actions = [
        "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
        "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
      ]
      resources = ["*"] # AWS knows no narrower one for the describing ones, and Lambda tests all of them so
    }
  }
}

resource "aws_iam_role_policy" "function" {
  for_each = local.functions

  name   = "what-it-needs"
  role   = aws_iam_role.function[each.key].id
  policy = data.aws_iam_policy_document.function[each.key].json
}
