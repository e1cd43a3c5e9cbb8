"""Features through Feast: definitions, feature tables, online values, and the training sets that flows ask for."""

from stack.core._compat import skip_instrumentation

skip_instrumentation()
