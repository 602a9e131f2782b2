"""TaskRunner: plans task packs purely and runs them as Step Functions executions."""
