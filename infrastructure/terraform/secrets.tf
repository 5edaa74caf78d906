# Containers for secrets. The values are put by an operator (outputs.tf prints how), so that no state ever holds one.

locals {
  # Each holds one JSON object: names of settings with their values.
  secrets = {
    twilio = "TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; during a rotation the token is OLD,NEW"
    api    = "CARDWATCH_LINK_KEY, and what of the other secret settings is used (docs/reference/settings.md)"
  }
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name                    = "${var.name_prefix}/${each.key}"
  description             = each.value
  kms_key_id              = aws_kms_key.this.arn
  recovery_window_in_days = var.deletion_window_days
}
