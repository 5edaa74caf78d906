"""The container that Amazon SageMaker runs: `serve` answers scores from a bundle, `train` makes a bundle.

Paths and manners are SageMaker's contracts for images of one's own ("Custom Inference Code with Hosting Services" and
"How Amazon SageMaker Runs Your Training Image" in its developer guide).
"""
