"""What only the DynamoDB store promises: races, redelivery, its stream, its price, and how it fails."""
