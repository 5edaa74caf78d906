# What every deployment decides. What is off by default stands in variables_optional.tf.

variable "region" {
  description = "AWS region that everything is made in."
  type        = string
  default     = "us-east-2"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must be an AWS region such as us-east-2."
  }
}

variable "account_id" {
  description = "Account that ARNs are written for. null: the account of the credentials."
  type        = string
  default     = null

  validation {
    condition     = var.account_id == null || can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "name_prefix" {
  description = "What all names begin with. The setup guide's is the default; another one makes a second stack."
  type        = string
  default     = "FraudDetection"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{1,24}$", var.name_prefix))
    error_message = "name_prefix must be 2 to 25 letters, digits and hyphens, and begin with a letter."
  }
}

variable "tags" {
  description = "Tags of everything, beside Application and Stack."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.tags) : !startswith(lower(name), "aws:")])
    error_message = "tags may not begin with aws:, which AWS keeps for itself."
  }
}

# Functions

variable "package_dir" {
  description = "Folder of the zips that `make package` builds, one for each function; relative to this folder."
  type        = string
  default     = "../../dist"

  validation {
    condition     = length(var.package_dir) > 0
    error_message = "package_dir must name a folder."
  }
}

variable "packages" {
  description = "Paths of zips that lie elsewhere than package_dir/FUNCTION.zip, by function."
  type        = map(string)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.packages), [
      "transaction", "score", "notify", "webhook", "accounts", "user_response", "sweep",
    ])) == 0
    error_message = "packages knows transaction, score, notify, webhook, accounts, user_response and sweep."
  }
}

variable "runtime" {
  description = "Lambda runtime. Packages are built for one version of Python: `make package` says for which."
  type        = string
  default     = "python3.13"

  validation {
    condition     = contains(["python3.12", "python3.13"], var.runtime)
    error_message = "runtime must be python3.12 or python3.13: older ones are at the end of their support, newer ones unknown to provider 5.100."
  }
}

variable "architecture" {
  description = "Processor of the functions. Packages hold machine code: build them for the same one."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture must be arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory by function in MB, where it shall be another than the default. Processor share grows with it."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for size in values(var.memory_mb) : size >= 128 && size <= 10240])
    error_message = "memory_mb must lie between 128 and 10240 (AWS)."
  }
  validation {
    condition = length(setsubtract(keys(var.memory_mb), [
      "transaction", "score", "notify", "webhook", "accounts", "user_response", "sweep",
    ])) == 0
    error_message = "memory_mb knows transaction, score, notify, webhook, accounts, user_response and sweep."
  }
}

variable "reserved_concurrency" {
  description = "Reserved concurrency by function. None by default: new accounts have too little to reserve from."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for number in values(var.reserved_concurrency) : number >= 1 && floor(number) == number])
    error_message = "reserved_concurrency must be whole numbers from 1 on; a function with 0 would never run."
  }
  validation {
    condition = length(setsubtract(keys(var.reserved_concurrency), [
      "transaction", "score", "notify", "webhook", "accounts", "user_response", "sweep",
    ])) == 0
    error_message = "reserved_concurrency knows transaction, score, notify, webhook, accounts, user_response and sweep."
  }
}

variable "xray_enabled" {
  description = "Whether requests and functions are traced by X-Ray."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long every log group keeps its lines, in days."
  type        = number
  default     = 365

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be one of the periods that CloudWatch Logs knows, such as 30, 90, 365 or 731."
  }
}

variable "log_level" {
  description = "What the functions log."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warning", "error"], var.log_level)
    error_message = "log_level must be debug, info, warning or error."
  }
}

variable "metrics_namespace" {
  description = "CloudWatch namespace of the metrics that the functions write into their logs (embedded metric format)."
  type        = string
  default     = "Cardwatch"

  validation {
    condition     = can(regex("^[A-Za-z0-9._/#-]{1,255}$", var.metrics_namespace)) && !startswith(var.metrics_namespace, "AWS/")
    error_message = "metrics_namespace must be 1 to 255 letters, digits and . _ / # -, and may not begin with AWS/."
  }
}

variable "settings" {
  description = "More settings of Cardwatch for all functions (docs/reference/settings.md). Secrets belong into Secrets Manager."
  type        = map(string)
  default     = {}

  validation {
    condition = alltrue([
      for name in keys(var.settings) :
      !can(regex("(TOKEN|SECRET|PASSWORD|PRIVATE|API_KEYS|_KEY|ALERT_URLS|CREDENTIALS)", upper(name)))
    ])
    error_message = "settings may hold no secret: put it into the secrets that outputs.tf names."
  }
  validation {
    condition = length(setintersection(keys(var.settings), [
      "CARDWATCH_CALLBACK_URL", "CARDWATCH_SMTP_USERNAME", "CARDWATCH_VAPID_SUBJECT",
    ])) == 0
    error_message = "CARDWATCH_CALLBACK_URL, CARDWATCH_SMTP_USERNAME and CARDWATCH_VAPID_SUBJECT belong into the api secret, beside the secret that they need."
  }
}

# Scoring

variable "scoring" {
  description = "stream: a payment is answered with 202 and scored from the stream. inline: POST /transaction waits for the score."
  type        = string
  default     = "stream"

  validation {
    condition     = contains(["stream", "inline"], var.scoring)
    error_message = "scoring must be stream or inline."
  }
}

variable "scorer" {
  description = "local: the model in the package. sagemaker: the endpoint, with the packaged model behind it."
  type        = string
  default     = "local"

  validation {
    condition     = contains(["local", "sagemaker"], var.scorer)
    error_message = "scorer must be local or sagemaker."
  }
}

variable "fraud_threshold" {
  description = "Score from which a payment is challenged (the setup guide's FRAUD_THRESHOLD=0.5). null: the model's own."
  type        = number
  default     = null

  validation {
    condition     = var.fraud_threshold == null ? true : var.fraud_threshold >= 0 && var.fraud_threshold <= 1
    error_message = "fraud_threshold must lie between 0 and 1."
  }
}

variable "stream" {
  description = "How Score reads the table's stream: records a batch, seconds to wait for one, batches at a time a shard, tries, and the age in seconds from which a record is given up."
  type = object({
    batch_size             = optional(number, 100)
    window_s               = optional(number, 0)
    parallelization_factor = optional(number, 1)
    retries                = optional(number, 5)
    age_max_s              = optional(number, 3600)
  })
  default = {}

  validation {
    condition     = var.stream.batch_size >= 1 && var.stream.batch_size <= 1000
    error_message = "stream.batch_size must lie between 1 and 1000."
  }
  validation {
    condition     = var.stream.window_s >= 0 && var.stream.window_s <= 300
    error_message = "stream.window_s must lie between 0 and 300."
  }
  validation {
    condition     = var.stream.parallelization_factor >= 1 && var.stream.parallelization_factor <= 10
    error_message = "stream.parallelization_factor must lie between 1 and 10."
  }
  validation {
    condition     = var.stream.retries >= 0 && var.stream.retries <= 100
    error_message = "stream.retries must lie between 0 and 100: without a limit (-1) one record would hold up its shard for a day."
  }
  validation {
    condition     = var.stream.age_max_s >= 60 && var.stream.age_max_s <= 86400
    error_message = "stream.age_max_s must lie between 60 and 86400: the stream itself forgets after a day."
  }
}

variable "sweep" {
  description = "How often Sweep looks for questions that end and messages that are due, and for payments that nobody decided. Expressions of EventBridge Scheduler."
  type = object({
    due_every     = optional(string, "rate(1 minute)")
    pending_every = optional(string, "rate(5 minutes)")
  })
  default = {}

  validation {
    condition     = alltrue([for every in values(var.sweep) : can(regex("^(rate|cron)\\(.+\\)$", every))])
    error_message = "sweep must be rate(...) or cron(...), such as rate(1 minute)."
  }
}

# Messages

variable "twilio_from_number" {
  description = "Number that texts come from (TWILIO_FROM_NUMBER), in E.164. The account and its token belong into the secret."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(\\+[1-9][0-9]{6,14})?$", var.twilio_from_number))
    error_message = "twilio_from_number must be in E.164, such as +12065550100."
  }
}

variable "twilio_messaging_service_sid" {
  description = "Twilio messaging service, instead of a number or beside it."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(MG[0-9a-fA-F]{32})?$", var.twilio_messaging_service_sid))
    error_message = "twilio_messaging_service_sid must be MG and 32 hexadecimal digits."
  }
}

variable "email" {
  description = "Questions by e-mail through Amazon SES: the From address, the ARN of the verified identity that it belongs to, and a configuration set. null: none."
  type = object({
    from              = string
    identity_arn      = string
    configuration_set = optional(string)
  })
  default = null

  validation {
    condition     = var.email == null ? true : can(regex("^[^@\\s]+@[^@\\s]+$", var.email.from)) && can(regex("^arn:[a-z-]+:ses:[a-z0-9-]+:[0-9]{12}:identity/.+$", var.email.identity_arn))
    error_message = "email needs one address and the ARN of an identity of SES (arn:aws:ses:REGION:ACCOUNT:identity/DOMAIN)."
  }
}
