# One real Kubernetes node, for tests and for trying things out. Included by the Makefile, which sets PYTHON.
.PHONY: real-node real-node-up real-node-down
real-node: ## build and install what a real node is made of, once (needs root and Go)
	@$(PYTHON) -m tests.real_node build

real-node-up: real-node ## stage SCENARIO on a real node, and say how to use it
	@$(PYTHON) -m tests.real_node up $(SCENARIO)

real-node-down: ## end it
	@$(PYTHON) -m tests.real_node down
