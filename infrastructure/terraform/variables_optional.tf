# What is added to the pipeline, and how its tables, its API and its alarms are set.

# Tables and key

variable "billing_mode" {
  description = "on_demand: tables are paid by request. provisioned: by capacity, which autoscaling follows."
  type        = string
  default     = "on_demand"

  validation {
    condition     = contains(["on_demand", "provisioned"], var.billing_mode)
    error_message = "billing_mode must be on_demand or provisioned."
  }
}

variable "capacity" {
  description = "With billing_mode provisioned: capacity units of each table and index, at least and at most, and the use in percent that autoscaling aims at."
  type = object({
    min            = optional(number, 5)
    max            = optional(number, 1000)
    target_percent = optional(number, 70)
  })
  default = {}

  validation {
    condition     = var.capacity.min >= 1 && var.capacity.max >= var.capacity.min
    error_message = "capacity.min must be at least 1, capacity.max at least capacity.min."
  }
  validation {
    condition     = var.capacity.target_percent >= 20 && var.capacity.target_percent <= 90
    error_message = "capacity.target_percent must lie between 20 and 90 (AWS)."
  }
}

variable "deletion_protection" {
  description = "Whether tables refuse to be deleted. Set it to false, apply, and only then destroy."
  type        = bool
  default     = true
}

variable "deletion_window_days" {
  description = "How long the key and the secrets can be taken back after they were deleted, in days."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days must lie between 7 and 30 (AWS)."
  }
}

# API

variable "stage_name" {
  description = "Stage of the API; the first part of every path."
  type        = string
  default     = "v1"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,64}$", var.stage_name))
    error_message = "stage_name must be 1 to 64 letters, digits, _ and -."
  }
}

variable "public_url" {
  description = "The API as Twilio and cardholders see it, where a domain of your own stands before it. null: the stage's own URL."
  type        = string
  default     = null

  validation {
    condition     = var.public_url == null ? true : can(regex("^https://[^/?#]+[^?#]*[^/?#]$", var.public_url))
    error_message = "public_url must be an https URL without a slash at its end."
  }
}

variable "authorization" {
  description = "Who may call the API. api_key: whoever has a key of the usage plan. cognito: a JWT of the user pools. jwt: a JWT that your own authorizer function accepts."
  type        = string
  default     = "api_key"

  validation {
    condition     = contains(["api_key", "cognito", "jwt"], var.authorization)
    error_message = "authorization must be api_key, cognito or jwt."
  }
}

variable "cognito" {
  description = "With authorization cognito: ARNs of the user pools, and the scopes of which a token needs one (none: identity tokens)."
  type = object({
    user_pool_arns = list(string)
    scopes         = optional(list(string), [])
  })
  default = { user_pool_arns = [] }

  validation {
    condition     = var.authorization != "cognito" || length(var.cognito.user_pool_arns) > 0
    error_message = "authorization cognito needs cognito.user_pool_arns."
  }
}

variable "jwt_authorizer_function" {
  description = "With authorization jwt: name of a Lambda authorizer function (TOKEN) in this account and region."
  type        = string
  default     = null

  validation {
    condition     = var.authorization != "jwt" || can(regex("^[A-Za-z0-9_-]{1,64}$", var.jwt_authorizer_function))
    error_message = "authorization jwt needs jwt_authorizer_function, the name of a function."
  }
}

variable "api_key_names" {
  description = "Keys that Terraform makes. Their values then stand in the state: output api_key_commands makes keys that do not."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.api_key_names : can(regex("^[A-Za-z0-9_.-]{1,64}$", name))])
    error_message = "api_key_names must be 1 to 64 letters, digits, _ . and - each."
  }
}

variable "throttling" {
  description = "Requests a second and burst: of each route, and of each API key, which also has a quota of requests a day."
  type = object({
    rate          = optional(number, 100)
    burst         = optional(number, 200)
    key_rate      = optional(number, 50)
    key_burst     = optional(number, 100)
    key_daily_max = optional(number, 1000000)
  })
  default = {}

  validation {
    condition     = alltrue([for limit in values(var.throttling) : limit >= 1])
    error_message = "throttling must be at least 1 everywhere."
  }
}

variable "cors_origin" {
  description = "Origin whose pages may call the API from a browser, such as https://console.example.com; * for any."
  type        = string
  default     = "*"

  validation {
    condition     = can(regex("^(\\*|https?://[^/'\\s]+)$", var.cors_origin))
    error_message = "cors_origin must be * or one origin without a path."
  }
}

variable "cache" {
  description = "Stage cache of GET requests, keyed on path, query and credentials. Off by default: it is billed by the hour and may answer what has changed."
  type = object({
    enabled = optional(bool, false)
    size_gb = optional(string, "0.5")
    ttl_s   = optional(number, 5)
  })
  default = {}

  validation {
    condition     = contains(["0.5", "1.6", "6.1", "13.5", "28.4", "58.2", "118", "237"], var.cache.size_gb)
    error_message = "cache.size_gb must be one of the sizes that API Gateway has: 0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118 or 237."
  }
  validation {
    condition     = var.cache.ttl_s >= 1 && var.cache.ttl_s <= 3600
    error_message = "cache.ttl_s must lie between 1 and 3600."
  }
}

variable "manage_api_gateway_account" {
  description = "Whether the role with which API Gateway writes logs is set here. There is one for an account and region: false where it is set already."
  type        = bool
  default     = true
}

variable "waf" {
  description = "Web application firewall before the API: AWS's managed rules, and a limit of requests that one address may make in five minutes."
  type = object({
    enabled         = optional(bool, true)
    rate_per_5_min  = optional(number, 2000)
    logging_enabled = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.waf.rate_per_5_min >= 10
    error_message = "waf.rate_per_5_min must be at least 10 (AWS)."
  }
}

# Network

variable "network" {
  description = "VPC that the functions run in, with endpoints for what they call there. Its subnets need a way to Twilio (NAT). null: none."
  type = object({
    vpc_id           = string
    subnet_ids       = list(string)
    route_table_ids  = list(string)
    create_endpoints = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.network == null ? true : length(var.network.subnet_ids) > 0 && startswith(var.network.vpc_id, "vpc-")
    error_message = "network needs a vpc_id (vpc-...) and at least one of its subnets."
  }
}

# SageMaker

variable "sagemaker_endpoint_name" {
  description = "Endpoint that scores with scorer sagemaker (SAGEMAKER_ENDPOINT_NAME)."
  type        = string
  default     = "fraud-detection-endpoint"

  validation {
    condition     = can(regex("^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$", var.sagemaker_endpoint_name))
    error_message = "sagemaker_endpoint_name must be up to 63 letters, digits and inner hyphens."
  }
}

variable "sagemaker" {
  description = "The endpoint, made here from an image in ECR and model archives in S3. null: infrastructure/deploy_sagemaker.py makes it, or nobody."
  type = object({
    image_uri            = string
    champion_model_url   = string
    challenger_model_url = optional(string) # null: the champion's, so that two variants stand behind one model
    shadow_model_url     = optional(string) # null: no shadow; else there is no challenger
    champion_weight      = optional(number, 9)
    challenger_weight    = optional(number, 1)
    instance_type        = optional(string, "ml.c5.large")
    instances_min        = optional(number, 1)
    instances_max        = optional(number, 4)
    autoscaling          = optional(bool, true)
    # Invocations a minute and instance that autoscaling aims at.
    target_invocations = optional(number, 6000)
  })
  default = null

  validation {
    condition     = var.sagemaker == null ? true : can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com(\\.cn)?/[^:@]+[:@].+$", var.sagemaker.image_uri))
    error_message = "sagemaker.image_uri must be an image in ECR with its tag or digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
  }
  validation {
    condition = var.sagemaker == null ? true : alltrue([
      for url in compact([var.sagemaker.champion_model_url, var.sagemaker.challenger_model_url, var.sagemaker.shadow_model_url]) :
      can(regex("^s3://[a-z0-9.-]{3,63}/.+\\.tar\\.gz$", url))
    ])
    error_message = "sagemaker model URLs must be s3://BUCKET/KEY.tar.gz."
  }
  validation {
    condition     = var.sagemaker == null ? true : var.sagemaker.shadow_model_url == null || var.sagemaker.challenger_model_url == null
    error_message = "sagemaker has a challenger or a shadow, not both: SageMaker shadows a single variant only."
  }
  validation {
    condition     = var.sagemaker == null ? true : var.sagemaker.instances_min >= 1 && var.sagemaker.instances_max >= var.sagemaker.instances_min
    error_message = "sagemaker.instances_min must be at least 1, instances_max at least instances_min."
  }
  validation {
    condition     = var.sagemaker == null ? true : var.sagemaker.champion_weight + var.sagemaker.challenger_weight > 0
    error_message = "sagemaker weights may not both be 0."
  }
}

# Watching

variable "alarm_emails" {
  description = "Addresses that alarms are mailed to; each has to confirm once."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "alarm_emails must be e-mail addresses."
  }
}

variable "alarm_thresholds" {
  description = "From when an alarm rings: age of the oldest unread record (ms), latency of the endpoint and of the API (ms), share of questions answered (percent; of at least so many ended in an hour)."
  type = object({
    iterator_age_ms     = optional(number, 60000)
    endpoint_latency_ms = optional(number, 500)
    api_latency_p99_ms  = optional(number, 3000)
    answer_rate_percent = optional(number, 30)
    answer_rate_of      = optional(number, 20)
  })
  default = {}

  validation {
    condition     = alltrue([for threshold in values(var.alarm_thresholds) : threshold > 0])
    error_message = "alarm_thresholds must be above 0."
  }
}

variable "budget" {
  description = "Monthly budget of the whole account in US dollars, with alarms at 80 and 100 percent and when the forecast passes it. null: none."
  type = object({
    monthly_usd = number
  })
  default = null

  validation {
    condition     = var.budget == null ? true : var.budget.monthly_usd > 0
    error_message = "budget.monthly_usd must be above 0."
  }
}
