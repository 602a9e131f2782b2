"""The compiler: from a manifest's text to a plan and a state machine. Begin reading at `driver`.

Each stage is a package: manifest, checks, inputs and planning, machine, budget. problems collects
the mistakes that the stages find; privileged decides which function evaluates a policy gate.
"""
