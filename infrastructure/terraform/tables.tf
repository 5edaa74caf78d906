# The four tables. Their keys and indexes are those of src/cardwatch/adapters/dynamodb/tables.py; a test compares them.

locals {
  # Indexes hold keys alone: what is listed is then read from the table.
  tables = {
    transactions = {
      name      = "${var.name_prefix}-Transactions"
      partition = "transaction_id"
      sort      = null
      stream    = true
      ttl       = true
      indexes = {
        by_account = { partition = "user_id", sort = "sequence" }
        by_day     = { partition = "day", sort = "sequence" }
        by_status  = { partition = "listed", sort = "sequence" }
      }
    }
    accounts = {
      name      = "${var.name_prefix}-Accounts"
      partition = "user_id"
      sort      = null
      stream    = false
      ttl       = false
      indexes = {
        by_id = { partition = "listed", sort = "user_id" }
      }
    }
    states = {
      name      = "${var.name_prefix}-States"
      partition = "state_id"
      sort      = null
      stream    = false
      ttl       = true
      indexes = {
        by_owner = { partition = "owner", sort = "state_id" }
      }
    }
    conversations = {
      name      = "${var.name_prefix}-Conversations"
      partition = "pk"
      sort      = "sk"
      stream    = false
      ttl       = true
      indexes = {
        by_due     = { partition = "due", sort = "due_at" }
        by_act     = { partition = "act", sort = "act_at" }
        by_address = { partition = "address", sort = "said_at" }
        by_subject = { partition = "subject", sort = "sk" }
      }
    }
  }

  number_attributes = ["sequence"]
  table_arns        = { for key, table in local.tables : key => "${local.arn_of.dynamodb}:table/${table.name}" }

  # "transactions/" for a table, "transactions/by_day" for an index: each has capacity of its own.
  capacities = var.billing_mode == "on_demand" ? {} : merge(
    { for key, table in local.tables : "${key}/" => "table/${table.name}" },
    merge([
      for key, table in local.tables :
      { for index in keys(table.indexes) : "${key}/${index}" => "table/${table.name}/index/${index}" }
    ]...),
  )
  capacity_kinds = merge([
    for place, id in local.capacities : {
      for kind in ["Read", "Write"] : "${place}:${kind}" => {
        resource  = id
        kind      = kind
        dimension = "dynamodb:${endswith(place, "/") ? "table" : "index"}:${kind}CapacityUnits"
      }
    }
  ]...)
}

resource "aws_dynamodb_table" "this" {
  for_each = local.tables

  name                        = each.value.name
  billing_mode                = var.billing_mode == "on_demand" ? "PAY_PER_REQUEST" : "PROVISIONED"
  read_capacity               = var.billing_mode == "on_demand" ? null : var.capacity.min
  write_capacity              = var.billing_mode == "on_demand" ? null : var.capacity.min
  hash_key                    = each.value.partition
  range_key                   = each.value.sort
  stream_enabled              = each.value.stream
  stream_view_type            = each.value.stream ? "NEW_AND_OLD_IMAGES" : null
  deletion_protection_enabled = var.deletion_protection

  dynamic "attribute" {
    for_each = toset(compact(concat(
      [each.value.partition, each.value.sort],
      flatten([for index in values(each.value.indexes) : [index.partition, index.sort]]),
    )))
    content {
      name = attribute.value
      type = contains(local.number_attributes, attribute.value) ? "N" : "S"
    }
  }

  dynamic "global_secondary_index" {
    for_each = each.value.indexes
    content {
      name            = global_secondary_index.key
      hash_key        = global_secondary_index.value.partition
      range_key       = global_secondary_index.value.sort
      projection_type = "KEYS_ONLY"
      read_capacity   = var.billing_mode == "on_demand" ? null : var.capacity.min
      write_capacity  = var.billing_mode == "on_demand" ? null : var.capacity.min
    }
  }

  dynamic "ttl" {
    for_each = each.value.ttl ? [true] : []
    content {
      enabled        = true
      attribute_name = "expires_at_s"
    }
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.this.arn
  }

  lifecycle {
    # Autoscaling moves them. An index's capacity cannot be left out alone: README.md says what follows.
    ignore_changes = [read_capacity, write_capacity]
  }
}

resource "aws_appautoscaling_target" "tables" {
  for_each = local.capacity_kinds

  service_namespace  = "dynamodb"
  resource_id        = each.value.resource
  scalable_dimension = each.value.dimension
  min_capacity       = var.capacity.min
  max_capacity       = var.capacity.max

  depends_on = [aws_dynamodb_table.this]
}

resource "aws_appautoscaling_policy" "tables" {
  for_each = local.capacity_kinds

  name               = "${each.value.kind}-follows-use"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = "dynamodb"
  resource_id        = aws_appautoscaling_target.tables[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.tables[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value = var.capacity.target_percent

    predefined_metric_specification {
      predefined_metric_type = "DynamoDB${each.value.kind}CapacityUtilization"
    }
  }
}
