# What this configuration needs: Terraform and the aws provider, nothing else.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

# Credentials, an assumed role and other endpoints (AWS_ENDPOINT_URL, for emulators) come from where AWS tools look.
provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ Application = "cardwatch", Stack = var.name_prefix }, var.tags)
  }
}

data "aws_partition" "current" {}

data "aws_caller_identity" "current" {
  count = var.account_id == null ? 1 : 0
}

locals {
  account_id = coalesce(var.account_id, one(data.aws_caller_identity.current[*].account_id))
  partition  = data.aws_partition.current.partition
  dns_suffix = data.aws_partition.current.dns_suffix

  # ARNs are written out where names are known, so that a plan shows every policy before anything exists.
  arn_of = {
    for service in ["dynamodb", "lambda", "sqs", "logs", "sagemaker", "scheduler", "execute-api", "cloudwatch"] :
    service => "arn:${local.partition}:${service}:${var.region}:${local.account_id}"
  }
}
