"""Another port of the same host that frames the card, as JupyterLab does, and tries what a hostile output could."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>A notebook</title>
<style>
  body {{ margin: 0; font: 14px sans-serif }}
  iframe {{ width: 820px; height: {height}px; border: 0 }}
  #over {{ position: fixed; inset: 0; background: #fff; opacity: .98; pointer-events: none }}
</style>
<p>Some cell above</p>
<iframe id="card" src="{card}"></iframe>
<script>
  window.heard = [];
  addEventListener("message", (event) => heard.push({{ origin: event.origin, data: event.data }}));
  function cover(css) {{
    const over = document.createElement("div");
    over.id = "over";
    over.style.cssText = css;
    document.body.append(over);
  }}
</script></html>"""


class Notebook:
    """A page with one frame. `card` is the frame's address, `height` its height in pixels."""

    def __init__(self) -> None:
        self.card = ""
        self.height = 800

    def app(self) -> Starlette:
        """The application."""
        return Starlette(routes=[Route("/", self.page)])

    async def page(self, request: Request) -> Response:
        return HTMLResponse(_PAGE.format(card=self.card, height=self.height))
