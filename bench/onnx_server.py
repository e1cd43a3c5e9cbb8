"""A plain server of a served model: FastAPI and ONNX Runtime, without online features, log or roll-out.

``python -m bench.onnx_server FOLDER PORT`` answers ``POST /predict`` with ``{"rows": [{<feature>: <value>, ...}]}``.
"""

import sys
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, create_model

from stack.serving.served import ServedModel


def app(folder: Path) -> FastAPI:
    """Return the application of a served form."""
    model, api = ServedModel(folder), FastAPI()
    types = {"number": (float | None, None), "category": (str | None, None)}
    row: Any = create_model("Row", **{name: types[kind] for name, kind in model.columns.items()})  # type: ignore[call-overload]

    class Body(BaseModel):
        rows: list[row]

    @api.get("/ping")
    async def ping() -> str:
        return "pong"

    @api.post("/predict")
    async def predict(body: Body) -> list[list[float]]:
        columns = {name: [getattr(one, name) for one in body.rows] for name in model.columns}
        return model.predict(columns).tolist()  # type: ignore[no-any-return]

    return api


if __name__ == "__main__":
    uvicorn.run(app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
