"""Every setting in one table: name, default, unit, help. `docs/reference/settings.md` is generated from it.

The names of the setup guide are kept as they are; all others begin with CARDWATCH_.
"""

from collections.abc import Callable

import msgspec

from cardwatch.runtime.setting_values import (
    api_keys,
    callback_url,
    email_address,
    key,
    one_of,
    optional_text,
    origin,
    path,
    phone,
    probability,
    public_url,
    table_name,
    text,
    url,
    whole_number,
    words,
)

_DAY_S = 86_400


class Setting(msgspec.Struct, frozen=True):
    """One row of the table."""

    name: str
    attribute: str
    default: str
    unit: str
    help: str
    parse: Callable[[str], object]
    secret: bool = False


TABLE: tuple[Setting, ...] = (
    Setting(
        "CARDWATCH_DATA_DIR", "data_dir", "cardwatch-data", "path",
        "Folder of all embedded state: database, models, policy, keys.", path,
    ),
    Setting("CARDWATCH_HOST", "host", "127.0.0.1", "address", "Address that the server listens on.", text),
    Setting("CARDWATCH_PORT", "port", "8000", "port", "Port that the server listens on.", whole_number(0, 65535)),
    Setting(
        "CARDWATCH_PUBLIC_URL", "public_url", "", "URL",
        "The server as providers see it: webhook signatures and links are made for this URL, never for the Host "
        "header. https, unless it is this machine itself. Default: http://HOST:PORT.", public_url,
    ),
    Setting(
        "CARDWATCH_API_KEYS", "api_keys", "", "name:secret, ...",
        "Keys accepted in X-API-Key. None is needed from this machine itself, unless CARDWATCH_PUBLIC_URL says that "
        "others reach the server too; without any key it answers on loopback only.", api_keys, secret=True,
    ),
    Setting(
        "CARDWATCH_DECISION_TIMEOUT_MS", "decision_timeout_ms", "500", "ms",
        "How long POST /transaction waits for the decision before it answers 202.", whole_number(0, 60_000),
    ),
    Setting(
        "CARDWATCH_CHALLENGE_TTL_S", "challenge_ttl_s", "1800", "s",
        "Life of a question, from the decision on; without a clear answer the payment then goes to review.",
        whole_number(1, 36_000),
    ),
    Setting(
        "CARDWATCH_CHANGE_WINDOW_S", "change_window_s", "3600", "s",
        "How long after a YES a NO still takes the payment back into review.", whole_number(0, 30 * _DAY_S),
    ),
    Setting(
        "CARDWATCH_RETENTION_DAYS", "retention_days", "400", "days",
        "How long the change log is kept once every consumer has read it.", whole_number(1, 36_500),
    ),
    Setting(
        "CARDWATCH_INSTITUTION", "institution", "Cardwatch", "text",
        "Name that texts begin with: the bank or shop that the cardholder knows.", text,
    ),
    Setting(
        "CARDWATCH_MODEL", "model", "", "name or path",
        "Model bundle: its name in DATA_DIR/models, or its folder. Default: the packaged model.", optional_text,
    ),
    Setting(
        "CARDWATCH_POLICY", "policy", "", "path",
        "File of deny list, rules and allow list (JSON). Default: DATA_DIR/policy.json where it exists.", optional_text,
    ),
    Setting(
        "CARDWATCH_TOKEN_KEY", "token_key", "", "text of 16 or more characters",
        "Key that card numbers in imported files are tokenised with. Default: DATA_DIR/token.key, made at first use.",
        key, secret=True,
    ),
    Setting(
        "CARDWATCH_LINK_KEY", "link_key", "", "text of 16 or more characters",
        "Key that the links in e-mails and notifications are signed with. Default: DATA_DIR/link.key, made at first "
        "use.", key, secret=True,
    ),
    Setting(
        "CARDWATCH_COMPILED_FEATURES", "compiled_features", "auto", "auto or off",
        "auto: where numba is installed, a server that has run a while compiles the features in a process beside it, "
        "keeps the result in DATA_DIR/compiled and goes over to it. off: features are interpreted. Values are the same "
        "to the bit.", lambda value: one_of(value, ("auto", "off")),
    ),
    Setting(
        "CARDWATCH_LOG_LEVEL", "log_level", "info", "debug, info, warning or error", "What is logged.",
        lambda value: one_of(value, ("debug", "info", "warning", "error")),
    ),
    Setting(
        "FRAUD_THRESHOLD", "fraud_threshold", "", "probability",
        "Score from which a payment is challenged. Default: the model bundle's own threshold.", probability,
    ),
    Setting(
        "CARDWATCH_EMAIL_FROM", "email_from", "", "address",
        "Address that e-mails to cardholders come from; with it questions are put by e-mail too. Needs "
        "CARDWATCH_PUBLIC_URL: links lead there.", email_address,
    ),
    Setting(
        "CARDWATCH_SMTP_HOST", "smtp_host", "", "host",
        "Mail server for e-mails to cardholders. Without it they go through Amazon SES in AWS_REGION.", optional_text,
    ),
    Setting("CARDWATCH_SMTP_PORT", "smtp_port", "587", "port", "Its port.", whole_number(1, 65535)),
    Setting(
        "CARDWATCH_SMTP_SECURITY", "smtp_security", "starttls", "starttls, tls or none",
        "How the mail server is spoken to; none only on a network of one's own.",
        lambda value: one_of(value, ("starttls", "tls", "none")),
    ),
    Setting("CARDWATCH_SMTP_USERNAME", "smtp_username", "", "text", "How we log in to the mail server.", optional_text),
    Setting(
        "CARDWATCH_SMTP_PASSWORD", "smtp_password", "", "text", "The password beside it.", optional_text, secret=True,
    ),
    Setting("AWS_REGION", "aws_region", "", "region", "AWS region, such as us-east-1.", optional_text),
    Setting(
        "TRANSACTIONS_TABLE", "transactions_table", "FraudDetection-Transactions", "name",
        "DynamoDB table of payments, in the serverless home.", table_name,
    ),
    Setting(
        "ACCOUNTS_TABLE", "accounts_table", "FraudDetection-Accounts", "name",
        "DynamoDB table of accounts.", table_name,
    ),
    Setting(
        "CARDWATCH_STATES_TABLE", "states_table", "FraudDetection-States", "name",
        "DynamoDB table of feature state.", table_name,
    ),
    Setting(
        "CARDWATCH_CONVERSATIONS_TABLE", "conversations_table", "FraudDetection-Conversations", "name",
        "DynamoDB table of questions and messages, of positions in the change log and of dead letters.", table_name,
    ),
    Setting(
        "CARDWATCH_AWS_ENDPOINT_URL", "aws_endpoint_url", "", "URL",
        "One endpoint for all services of AWS, for emulators. Default: AWS's own.", url,
    ),
    Setting(
        "SAGEMAKER_ENDPOINT_NAME", "sagemaker_endpoint_name", "", "name",
        "SageMaker endpoint that scores, with the packaged model behind it. Without it the packaged model scores; the "
        "handler score_sagemaker then takes fraud-detection-endpoint.", optional_text,
    ),
    Setting(
        "NOTIFY_LAMBDA_NAME", "notify_lambda_name", "", "name",
        "Function that sends messages, woken by those that write them.", optional_text,
    ),
    Setting(
        "CARDWATCH_SCORING", "scoring", "stream", "stream or inline",
        "In the serverless home. stream: POST /transaction answers 202 and the table's stream is scored. inline: it "
        "decides before it answers.", lambda value: one_of(value, ("stream", "inline")),
    ),
    Setting(
        "CARDWATCH_TWILIO_SECRET_ARN", "twilio_secret_arn", "", "ARN or name",
        "Secret in Secrets Manager: a JSON object of Twilio's settings under their names in this table.", optional_text,
    ),
    Setting(
        "CARDWATCH_API_SECRET_ARN", "api_secret_arn", "", "ARN or name",
        "Secret in Secrets Manager: a JSON object of other settings under their names, such as CARDWATCH_LINK_KEY.",
        optional_text,
    ),
    Setting(
        "CARDWATCH_METRICS_NAMESPACE", "metrics_namespace", "Cardwatch", "name",
        "CloudWatch namespace of the serverless home's metrics.", text,
    ),
    Setting(
        "CARDWATCH_CORS_ORIGIN", "cors_origin", "", "origin or *",
        "Origin whose pages may read the answers of the serverless API. Default: none.", origin,
    ),
    Setting(
        "CARDWATCH_SES_CONFIGURATION_SET", "ses_configuration_set", "", "name",
        "Configuration set of Amazon SES for e-mails.", optional_text,
    ),
    Setting(
        "CARDWATCH_FCM_CREDENTIALS", "fcm_credentials", "", "path",
        "Service account file (JSON) of the Firebase project whose app takes our notifications. Needs "
        "CARDWATCH_PUBLIC_URL.", optional_text,
    ),
    Setting(
        "CARDWATCH_VAPID_PRIVATE_KEY", "vapid_private_key", "", "key",
        "Private key (base64url) that notifications to browsers are signed with. Needs CARDWATCH_PUBLIC_URL.",
        optional_text, secret=True,
    ),
    Setting(
        "CARDWATCH_VAPID_SUBJECT", "vapid_subject", "", "mailto: or https: URL",
        "Whom a push service may write to about our notifications.", optional_text,
    ),
    Setting(
        "CARDWATCH_CALLBACK_URL", "callback_url", "", "URL",
        "Where the payment system is told of every status change, signed by the Standard Webhooks specification.",
        callback_url,
    ),
    Setting(
        "CARDWATCH_CALLBACK_SECRET", "callback_secret", "", "whsec_...",
        "What callbacks are signed with; during a rotation the new and the old one, separated by a space.",
        words, secret=True,
    ),
    Setting(
        "CARDWATCH_ALERT_URLS", "alert_urls", "", "Apprise URLs",
        "Where analysts are told of payments that wait for review, such as slack://... or msteams://..., separated "
        "by spaces.", words, secret=True,
    ),
    Setting("TWILIO_ACCOUNT_SID", "twilio_account_sid", "", "sid", "Twilio account.", optional_text),
    Setting(
        "TWILIO_AUTH_TOKEN", "twilio_auth_token", "", "token",
        "Twilio's primary auth token; during a rotation the old and the new one, separated by a comma.",
        optional_text, secret=True,
    ),
    Setting("TWILIO_FROM_NUMBER", "twilio_from_number", "", "E.164", "Number that texts come from.", phone),
    Setting(
        "TWILIO_MESSAGING_SERVICE_SID", "twilio_messaging_service_sid", "", "sid",
        "Twilio messaging service, instead of a number or beside it.", optional_text,
    ),
    Setting(
        "CARDWATCH_TWILIO_API_URL", "twilio_api_url", "https://api.twilio.com", "URL",
        "Where Twilio's API is; tests and proxies change it.", url,
    ),
)  # fmt: skip
