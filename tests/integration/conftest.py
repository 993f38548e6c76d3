"""Shared by the integration tests: a stack of real processes, and the objects they scale."""
import os
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import stack as neap_stack  # noqa: E402


@pytest.fixture
def stack(request):
    with neap_stack.Stack(os.environ["NEAP_BIN"]) as it:
        yield it
        if hasattr(request.node, "failed_call"):
            for child in it.children:
                print(f"---- {child.name}\n{child.log()[-6000:]}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call" and report.failed:
        item.failed_call = True
