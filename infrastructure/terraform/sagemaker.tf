# The endpoint: champion and challenger share the requests by weight; or a shadow sees copies of the champion's and
# answers nobody (SageMaker shadows a single variant only). By variable, off by default: the packaged model scores.

locals {
  sagemaker_models = var.sagemaker == null ? {} : { for name, url in {
    champion   = var.sagemaker.champion_model_url
    challenger = var.sagemaker.shadow_model_url != null ? null : coalesce(var.sagemaker.challenger_model_url, var.sagemaker.champion_model_url)
    shadow     = var.sagemaker.shadow_model_url
  } : name => url if url != null }

  sagemaker_variants = { for name, url in local.sagemaker_models : name => {
    champion   = one(var.sagemaker[*].champion_weight)
    challenger = one(var.sagemaker[*].challenger_weight)
  }[name] if name != "shadow" }

  sagemaker_shadows   = { for name, url in local.sagemaker_models : name => url if name == "shadow" }
  sagemaker_autoscale = try(var.sagemaker.autoscaling, false) ? local.sagemaker_variants : {}

  # ACCOUNT.dkr.ecr.REGION.DOMAIN/NAME:TAG
  image = var.sagemaker == null ? null : regex(
    "^(?P<account>[0-9]+)\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<name>[^:@]+)", var.sagemaker.image_uri
  )
}

data "aws_iam_policy_document" "sagemaker_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["sagemaker.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account_id]
    }
  }
}

data "aws_iam_policy_document" "sagemaker" {
  count = var.sagemaker == null ? 0 : 1

  statement {
    sid       = "ReadsModels"
    actions   = ["s3:GetObject"]
    resources = [for url in distinct(values(local.sagemaker_models)) : "arn:${local.partition}:s3:::${trimprefix(url, "s3://")}"]
  }

  statement {
    sid       = "PullsTheImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${local.partition}:ecr:${local.image.region}:${local.image.account}:repository/${local.image.name}"]
  }

  statement {
    sid       = "LogsInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # AWS knows no narrower one
  }

  statement {
    sid       = "WritesItsLog"
    actions   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
    resources = ["${local.arn_of.logs}:log-group:/aws/sagemaker/Endpoints/${var.sagemaker_endpoint_name}:*"]
  }

  statement {
    sid       = "CountsInvocations"
    actions   = ["cloudwatch:PutMetricData"]
    resources = ["*"] # AWS knows no narrower one

    condition {
      test     = "StringEquals"
      variable = "cloudwatch:namespace"
      values   = ["/aws/sagemaker/Endpoints", "AWS/SageMaker"]
    }
  }
}

resource "aws_iam_role" "sagemaker" {
  count = var.sagemaker == null ? 0 : 1

  name               = "${var.name_prefix}-SageMaker-${var.region}"
  description        = "What the endpoint may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker_assumes.json
}

resource "aws_iam_role_policy" "sagemaker" {
  count = var.sagemaker == null ? 0 : 1

  name   = "what-it-needs"
  role   = aws_iam_role.sagemaker[0].id
  policy = data.aws_iam_policy_document.sagemaker[0].json
}

resource "aws_cloudwatch_log_group" "sagemaker" {
  count = var.sagemaker == null ? 0 : 1

  name              = "/aws/sagemaker/Endpoints/${var.sagemaker_endpoint_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.this.arn
}

# Names hold a hash of what they name: a changed model is a new one beside the old, which serves until it is replaced.
resource "aws_sagemaker_model" "this" {
  for_each = local.sagemaker_models

  name                     = "${var.sagemaker_endpoint_name}-${each.key}-${substr(sha256("${var.sagemaker.image_uri} ${each.value}"), 0, 8)}"
  execution_role_arn       = aws_iam_role.sagemaker[0].arn
  enable_network_isolation = true

  primary_container {
    image          = var.sagemaker.image_uri
    model_data_url = each.value
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy.sagemaker]
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  count = var.sagemaker == null ? 0 : 1

  name_prefix = "${substr(var.sagemaker_endpoint_name, 0, 36)}-"
  kms_key_arn = aws_kms_key.this.arn

  dynamic "production_variants" {
    for_each = local.sagemaker_variants
    content {
      variant_name           = production_variants.key
      model_name             = aws_sagemaker_model.this[production_variants.key].name
      instance_type          = var.sagemaker.instance_type
      initial_instance_count = var.sagemaker.instances_min
      initial_variant_weight = production_variants.value
    }
  }

  dynamic "shadow_production_variants" {
    for_each = local.sagemaker_shadows
    content {
      variant_name           = shadow_production_variants.key
      model_name             = aws_sagemaker_model.this[shadow_production_variants.key].name
      instance_type          = var.sagemaker.instance_type
      initial_instance_count = var.sagemaker.instances_min
      initial_variant_weight = 1
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_sagemaker_endpoint" "this" {
  count = var.sagemaker == null ? 0 : 1

  name                 = var.sagemaker_endpoint_name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this[0].name

  # A new config gets a fleet of its own; the old one takes over again when the alarm rings.
  deployment_config {
    blue_green_update_policy {
      maximum_execution_timeout_in_seconds = 3600
      termination_wait_in_seconds          = 300

      traffic_routing_configuration {
        type                     = "ALL_AT_ONCE" # a canary needs two instances at least
        wait_interval_in_seconds = 0
      }
    }
    auto_rollback_configuration {
      dynamic "alarms" {
        for_each = local.sagemaker_variants
        content {
          alarm_name = aws_cloudwatch_metric_alarm.endpoint_errors[alarms.key].alarm_name
        }
      }
    }
  }

  depends_on = [aws_cloudwatch_log_group.sagemaker]
}

resource "aws_appautoscaling_target" "sagemaker" {
  for_each = local.sagemaker_autoscale

  service_namespace  = "sagemaker"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this[0].name}/variant/${each.key}"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  min_capacity       = var.sagemaker.instances_min
  max_capacity       = var.sagemaker.instances_max
}

resource "aws_appautoscaling_policy" "sagemaker" {
  for_each = local.sagemaker_autoscale

  name               = "${each.key}-follows-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "sagemaker"
  resource_id        = aws_appautoscaling_target.sagemaker[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.sagemaker[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.sagemaker.target_invocations
    scale_in_cooldown  = 600
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }
}
