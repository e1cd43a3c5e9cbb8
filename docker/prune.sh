#!/bin/sh
# Delete from a site-packages folder what no service reads: the test suites of the large packages (0.1 GB), sources of
# compiled modules, C++ headers, notebook widgets, and the maps that debug a browser's scripts.
set -eu
cd "$1"
for package in dask distributed matplotlib mpl_toolkits networkx numpy onnx pandas pyarrow scipy sklearn statsmodels; do
  [ ! -d "$package" ] || find "$package" -type d -name tests -prune -exec rm -rf {} +
done
# SQLAlchemy's extra for type checkers; the compiled half of mypy has a name that only its list of files tells.
sed -n 's/^\([0-9a-f]*__mypyc[^,]*\),.*/\1/p' mypy-*.dist-info/RECORD | xargs rm -f
rm -rf mypy mypyc
rm -rf onnx/backend/test/data pyarrow/include jupyterlab_plotly plotly/package_data/datasets
find . -type f \( -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.map' \) -delete
find . -type d -name __pycache__ -prune -exec rm -rf {} +
