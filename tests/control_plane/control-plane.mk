# A real Kubernetes control plane for tests and for trying things out. Included by the Makefile, which sets PYTHON.
SCENARIO ?= oomkilled-payment

.PHONY: control-plane control-plane-up control-plane-down
control-plane: ## build etcd and the Kubernetes control plane from source, once (needs Go)
	@$(PYTHON) -m tests.control_plane build

control-plane-up: control-plane ## stage SCENARIO on a real control plane, and say how to use it
	@$(PYTHON) -m tests.control_plane up $(SCENARIO)

control-plane-down: ## end it
	@$(PYTHON) -m tests.control_plane down
