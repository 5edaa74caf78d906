# The seven functions: what each is called, needs and may touch. roles.tf turns the latter into policies.

locals {
  read_write = ["transactions", "accounts", "states", "conversations"]

  # tables: what it reads and writes. secrets: which it reads. invokes: which function it wakes. scores: whether it
  # asks the model. Times are in seconds, memory in MB.
  function_table = {
    transaction = {
      name    = "Transaction"
      handler = "transaction.lambda_handler"
      timeout = 29 # as long as API Gateway waits; `Prefer: wait=N` may use it
      memory  = var.scoring == "inline" ? 1024 : 512
      tables  = var.scoring == "inline" ? local.read_write : ["transactions", "accounts", "conversations"]
      secrets = var.scoring == "inline" ? ["api"] : []
      invokes = var.scoring == "inline" ? ["notify"] : []
      scores  = var.scoring == "inline"
    }
    score = {
      name    = "Score"
      handler = var.scorer == "sagemaker" ? "score_sagemaker.lambda_handler" : "score.lambda_handler"
      timeout = 120
      memory  = 1024
      tables  = local.read_write
      secrets = ["api"] # whether there are callbacks and alerts
      invokes = ["notify"]
      scores  = true
    }
    notify = {
      name    = "Notify"
      handler = "notify.lambda_handler"
      timeout = 60
      memory  = 512
      tables  = ["transactions", "accounts", "conversations"]
      secrets = ["twilio", "api"]
      invokes = []
      scores  = false
    }
    webhook = {
      name    = "Webhook"
      handler = "twilio_webhook.lambda_handler"
      timeout = 15 # Twilio waits that long
      memory  = 512
      tables  = local.read_write
      secrets = ["twilio", "api"]
      invokes = ["notify"]
      scores  = false
    }
    accounts = {
      name    = "Accounts"
      handler = "accounts.lambda_handler"
      timeout = 15
      memory  = 512
      tables  = ["accounts", "conversations"]
      secrets = []
      invokes = []
      scores  = false
    }
    user_response = {
      name    = "UserResponse"
      handler = "user_response.lambda_handler"
      timeout = 15
      memory  = 512
      tables  = local.read_write
      secrets = ["api"]
      invokes = ["notify"]
      scores  = false
    }
    sweep = {
      name    = "Sweep"
      handler = "sweep.lambda_handler"
      timeout = 55 # ends before the next one begins
      memory  = 1024
      tables  = local.read_write
      secrets = ["api"]
      invokes = ["notify"]
      scores  = true # what was lost on its way to Score
    }
  }

  functions = {
    for key, function in local.function_table : key => merge(function, {
      name    = "${var.name_prefix}-${function.name}"
      arn     = "${local.arn_of.lambda}:function:${var.name_prefix}-${function.name}"
      package = lookup(var.packages, key, "${var.package_dir}/${key}.zip")
    })
  }

  common_environment = merge(
    var.settings,
    {
      TRANSACTIONS_TABLE            = local.tables.transactions.name
      ACCOUNTS_TABLE                = local.tables.accounts.name
      CARDWATCH_STATES_TABLE        = local.tables.states.name
      CARDWATCH_CONVERSATIONS_TABLE = local.tables.conversations.name
      CARDWATCH_LOG_LEVEL           = var.log_level
      CARDWATCH_METRICS_NAMESPACE   = var.metrics_namespace
      CARDWATCH_PUBLIC_URL          = local.public_url
      CARDWATCH_SCORING             = var.scoring
      CARDWATCH_CORS_ORIGIN         = var.cors_origin
    },
    { for name, value in { FRAUD_THRESHOLD = var.fraud_threshold } : name => tostring(value) if value != null },
    var.email == null ? {} : { for name, value in {
      CARDWATCH_EMAIL_FROM            = var.email.from
      CARDWATCH_SES_CONFIGURATION_SET = var.email.configuration_set
    } : name => value if value != null },
  )

  # Whoever writes texts for Notify has to know that there will be a sender; the account and its token are Notify's.
  sender_environment = {
    for name, value in {
      TWILIO_FROM_NUMBER           = var.twilio_from_number
      TWILIO_MESSAGING_SERVICE_SID = var.twilio_messaging_service_sid
    } : name => value if value != ""
  }

  environment = {
    for key, function in local.functions : key => merge(
      local.common_environment,
      length(function.invokes) + length(function.secrets) > 0 ? local.sender_environment : {},
      contains(function.secrets, "twilio") ? { CARDWATCH_TWILIO_SECRET_ARN = aws_secretsmanager_secret.this["twilio"].arn } : {},
      contains(function.secrets, "api") ? { CARDWATCH_API_SECRET_ARN = aws_secretsmanager_secret.this["api"].arn } : {},
      contains(function.invokes, "notify") ? { NOTIFY_LAMBDA_NAME = local.functions.notify.name } : {},
      function.scores && var.scorer == "sagemaker" ? { SAGEMAKER_ENDPOINT_NAME = var.sagemaker_endpoint_name } : {},
    )
  }
}

resource "aws_lambda_function" "this" {
  for_each = local.functions

  function_name                  = each.value.name
  role                           = aws_iam_role.function[each.key].arn
  runtime                        = var.runtime
  architectures                  = [var.architecture]
  handler                        = each.value.handler
  filename                       = each.value.package
  source_code_hash               = fileexists(each.value.package) ? filebase64sha256(each.value.package) : null
  timeout                        = each.value.timeout
  memory_size                    = lookup(var.memory_mb, each.key, each.value.memory)
  reserved_concurrent_executions = lookup(var.reserved_concurrency, each.key, -1)
  kms_key_arn                    = aws_kms_key.this.arn

  environment {
    variables = local.environment[each.key]
  }

  # Lines are JSON already, metrics among them.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.functions[each.key].name
  }

  tracing_config {
    mode = var.xray_enabled ? "Active" : "PassThrough"
  }

  dynamic "vpc_config" {
    for_each = var.network[*]
    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = aws_security_group.functions[*].id
    }
  }

  lifecycle {
    precondition {
      condition     = fileexists(each.value.package)
      error_message = "There is no package ${each.value.package}: run `make package` first, or say with package_dir or packages where it lies."
    }
  }

  # A function that runs before its role allows it would fail its first events.
  depends_on = [aws_iam_role_policy.function]
}

# What becomes of an event that a function could not handle when nobody waits for an answer: it goes to the function's
# queue with its cause. Notify and Sweep are invoked so; the others could be, by hand.
resource "aws_lambda_function_event_invoke_config" "this" {
  for_each = local.functions

  function_name                = aws_lambda_function.this[each.key].function_name
  maximum_event_age_in_seconds = each.key == "sweep" ? 60 : 3600
  maximum_retry_attempts       = each.key == "sweep" ? 0 : 2

  destination_config {
    on_failure {
      destination = aws_sqs_queue.failures[each.key].arn
    }
  }

  depends_on = [aws_iam_role_policy.function]
}
