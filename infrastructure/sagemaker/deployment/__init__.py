"""How `deploy_sagemaker.py` puts a bundle behind a SageMaker endpoint: packing, planning, rolling out, removing."""
