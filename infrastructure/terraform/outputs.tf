# What is needed after `terraform apply`.

output "api_url" {
  description = "The API: POST here /transaction."
  value       = local.public_url
}

output "webhook_url" {
  description = "For Twilio: \"A message comes in\", HTTP POST, of the number or the messaging service."
  value       = "${local.public_url}/webhook/twilio"
}

output "status_callback_url" {
  description = "Where Twilio posts what became of a text. Each text asks for it; nothing has to be set."
  value       = "${local.public_url}/webhook/twilio/status"
}

output "table_names" {
  description = "Tables by what they hold."
  value       = { for key, table in aws_dynamodb_table.this : key => table.name }
}

output "function_names" {
  description = "Functions by what they do."
  value       = { for key, function in aws_lambda_function.this : key => function.function_name }
}

output "dlq_urls" {
  description = "Queues of what could not be handled, by function."
  value       = { for key, queue in aws_sqs_queue.failures : key => queue.url }
}

output "secret_arns" {
  description = "Secrets that wait for their values."
  value       = { for key, secret in aws_secretsmanager_secret.this : key => secret.arn }
}

output "secret_commands" {
  description = "How the values are put; the file holds one JSON object of names and values, and is deleted afterwards."
  value = {
    for key, secret in aws_secretsmanager_secret.this :
    key => "aws secretsmanager put-secret-value --region ${var.region} --secret-id ${secret.name} --secret-string file://${key}.json"
  }
}

output "api_key_commands" {
  description = "How a key is made whose value stands in no state; the first prints its id and value."
  value = [
    for plan in aws_api_gateway_usage_plan.this[*].id : join("\n", [
      "aws apigateway create-api-key --region ${var.region} --enabled --name NAME --query '[id,value]' --output text",
      "aws apigateway create-usage-plan-key --region ${var.region} --usage-plan-id ${plan} --key-type API_KEY --key-id ID",
    ])
  ]
}

output "api_keys" {
  description = "Values of the keys that Terraform made (api_key_names)."
  value       = { for name, key in aws_api_gateway_api_key.this : name => key.value }
  sensitive   = true
}

output "alarm_topic_arn" {
  description = "Topic of all alarms, for other subscribers than e-mail."
  value       = aws_sns_topic.alarms.arn
}

output "dashboard_url" {
  description = "The dashboard."
  value       = "https://${var.region}.console.aws.amazon.com/cloudwatch/home?region=${var.region}#dashboards/dashboard/${aws_cloudwatch_dashboard.this.dashboard_name}"
}

output "sagemaker_endpoint_name" {
  description = "Endpoint that is asked for scores, null with the packaged model."
  value       = var.scorer == "sagemaker" ? var.sagemaker_endpoint_name : null
}

output "function_settings" {
  description = "What each function is told by its environment; no secret is among it."
  value       = local.environment
}
