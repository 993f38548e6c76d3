"""The pages of reports in a real browser: every plot is drawn, nothing complains, the mouse and the keyboard find each
decision's reason, and names from users stay text. The pages are made by report_pages from made-up runs."""
import os
import subprocess

import pytest

import report_browser

BIN = os.environ["NEAP_BIN"]
PAGES = ("run", "targets", "two", "comparison", "tune", "hostile")

# Of each plot, how many of the pixels within its axes are drawn, in another colour than the grid.
PLOTS = """(grid => [...document.querySelectorAll('.plot')].map(plot => {
  const canvas = plot.querySelector('canvas'), over = plot.querySelector('.u-over');
  const box = over.getBoundingClientRect(), from = canvas.getBoundingClientRect();
  const image = canvas.getContext('2d').getImageData(box.x - from.x, box.y - from.y, box.width, box.height);
  let drawn = 0;
  for (let i = 0; i < image.data.length; i += 4) {
    const [r, g, b, a] = image.data.subarray(i, i + 4);
    if (a > 100 && Math.max(...[r, g, b].map((v, j) => Math.abs(v - grid[j]))) > 40) ++drawn;
  }
  return {title: plot.querySelector('h3').textContent, drawn, width: box.width, height: box.height};
}))(getComputedStyle(document.documentElement).getPropertyValue('--grid').match(/[0-9a-f]{2}/g).map(v => parseInt(v, 16)))"""
AREA = """(() => {
  const plot = [...document.querySelectorAll('.plot')].find(p => p.querySelector('h3').textContent.startsWith(%r));
  plot.scrollIntoView({block: 'center'});
  const r = plot.querySelector('.u-over').getBoundingClientRect();
  return [r.x, r.y, r.width, r.height];
})()"""
PANEL = "document.getElementById('decision').textContent"


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run([os.path.join(BIN, "report_pages"), str(folder)], check=True, stdout=subprocess.DEVNULL, timeout=120)
    return folder


@pytest.fixture(scope="module")
def browser():
    if report_browser.PROGRAM is None:
        pytest.skip("no chromium on this machine (tools/install-deps installs it)")
    one = report_browser.Browser()
    yield one
    one.close()


def titles(browser):
    return browser.run("[...document.querySelectorAll('.plot h3')].map(e => e.textContent)")


def hover(browser, title, share):
    x, y, width, height = browser.run(AREA % title)
    browser.mouse("mouseMoved", x + width * share, y + height / 2)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("page", PAGES)
def test_every_plot_is_drawn_and_nothing_complains(browser, pages, page, width, dark):
    browser.open(pages / f"{page}.html", width, 900, dark)
    plots = browser.run(PLOTS)
    assert plots
    for plot in plots:
        assert plot["drawn"] > 30, plot
        assert plot["width"] > 240 and plot["height"] > 40, plot
    assert browser.console == []
    assert browser.run("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    back = browser.run("getComputedStyle(document.documentElement).backgroundColor")
    assert back == ("rgb(15, 19, 24)" if dark else "rgb(255, 255, 255)")


def test_a_run_has_all_its_plots(browser, pages):
    browser.open(pages / "run.html")
    assert titles(browser) == ["Loadper second", "Replicaspods", "cpu resource utilization%", "trigger #1 queue_lengthper pod", "Pendingpods",
                               "Latency p99", "Waitingrequests", "Cost€ per hour"]
    text = browser.run("document.body.innerText")
    for part in ("Served", "Failed", "Late", "Wait p50 / p99", "Pod-hours", "Cost", "Scale changes", "Under-provisioned", "Elasticity",
                 "seed 1", "24 h", "neapctl 0.", "a pod needs 60 s from creation to ready", "--pod-start 60s"):
        assert part in text, part


def test_the_text_is_told_apart_from_its_background(browser, pages):
    """WCAG AA: 4.5 to 1, for every colour that text has on this page."""
    ratio = """(() => {
      const rgb = c => c.match(/[\\d.]+/g).map(Number);
      const light = c => { const [r, g, b] = rgb(c).map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                           return .2126 * r + .7152 * g + .0722 * b; };
      const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
                          if (rgb(c)[3] !== 0) return c; } return 'rgb(255, 255, 255)'; };
      let worst = [99, ''];
      for (const e of document.querySelectorAll('body *')) {
        if (!e.innerText || e.disabled || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const [a, b] = [light(getComputedStyle(e).color), light(back(e))].sort((x, y) => y - x);
        const r = (a + .05) / (b + .05);
        if (r < worst[0]) worst = [r, e.outerHTML.slice(0, 80)];
      }
      return worst; })()"""
    for page in ("run", "comparison", "tune"):
        for dark in (False, True):
            browser.open(pages / f"{page}.html", dark=dark)
            contrast, where = browser.run(ratio)
            assert contrast >= 4.5, (page, dark, contrast, where)


def test_the_decision_under_the_cursor_is_explained(browser, pages):
    browser.open(pages / "run.html")
    assert "Move over a plot" in browser.run(PANEL)
    hover(browser, "Load", 13.005 / 24)  # the flash crowd comes at 13:00
    panel = browser.run(PANEL)
    assert "2026-01-01 13:0" in panel and "scaled up" in panel
    assert "cpu " in panel and "% of 60%" in panel  # the reason
    assert "18 → 35" in panel  # the explanation, step by step
    assert browser.run("[...document.querySelectorAll('#decision .step')].map(e => e.firstChild.textContent)") == ["propose", "stabilise", "bounds"]
    assert "no window holds it" in panel and "within 2 to 40" in panel
    # The same cursor stands in every plot, and each legend says its value.
    shown = browser.run("[...document.querySelectorAll('.u-cursor-x')].map(e => e.style.transform)")
    assert len(set(shown)) == 1 and len(shown) == 8
    assert all(browser.run("[...document.querySelectorAll('.legend .now')].map(e => e.textContent)"))
    # Where the metric failed, the decision says so, and the legend has no value for it.
    hover(browser, "cpu", 1510 / 5760)
    assert "a metric that failed holds" in browser.run(PANEL) and "held" in browser.run(PANEL)
    assert browser.run("[...document.querySelectorAll('.plot')][2].querySelector('.now').textContent") == "–"


def test_a_click_keeps_a_decision_and_escape_lets_go(browser, pages):
    browser.open(pages / "run.html")
    x, y, width, height = browser.run(AREA % "Replicas")
    browser.click(x + width * 13.005 / 24, y + height / 2)
    kept = browser.run(PANEL)
    browser.mouse("mouseMoved", x + width * 0.1, y + height / 2)
    assert browser.run(PANEL) == kept and "scaled up" in kept
    browser.key("Escape")
    browser.mouse("mouseMoved", x + width * 0.12, y + height / 2)
    assert browser.run(PANEL) != kept


def ticks(browser):
    """Where the grid's time lies: the plots' common range, as the spread of what a cursor at both ends reads."""
    hover(browser, "Load", 0.001)
    first = browser.run("document.querySelector('.decision .when').textContent")
    hover(browser, "Load", 0.999)
    return first, browser.run("document.querySelector('.decision .when').textContent")


def test_a_drag_zooms_all_plots_and_the_button_shows_the_whole_run(browser, pages):
    browser.open(pages / "run.html")
    whole = "[...document.querySelectorAll('.tools button')].find(b => b.textContent === 'Whole run')"
    assert browser.run(whole + ".disabled")
    x, y, width, height = browser.run(AREA % "Waiting")
    browser.drag(x + width * 0.5, y + 10, x + width * 0.6, y + 20)
    assert not browser.run(whole + ".disabled")
    first, last = ticks(browser)
    assert " 11:" in first or " 12:" in first
    assert " 14:" in last
    browser.run(whole + ".click()")
    browser.settle()
    assert browser.run(whole + ".disabled")
    first, last = ticks(browser)
    assert " 00:" in first and " 23:" in last


def test_the_keyboard_moves_the_cursor_zooms_and_keeps(browser, pages):
    browser.open(pages / "run.html")
    browser.run("document.querySelector('.plot .area').focus()")
    browser.key("End")
    assert " 23:" in browser.run(PANEL)
    browser.key("Home")
    first = browser.run(PANEL)
    for _ in range(3):
        browser.key("ArrowRight")
    assert browser.run(PANEL) != first
    browser.key("Enter")
    assert "Let go" in browser.run("document.getElementById('decision').innerText")
    browser.key("+")
    assert not browser.run("[...document.querySelectorAll('.tools button')][2].disabled")
    assert browser.console == []


def test_the_table_of_changes_leads_to_the_plot(browser, pages):
    browser.open(pages / "run.html")
    rows = browser.run("document.querySelectorAll('.changes tbody tr').length")
    assert rows == browser.run("neap.data.results[0].targets[0].decisions.filter(d => d.rescale).length")
    browser.run("document.querySelectorAll('.changes details')[3].open = true")
    browser.settle()
    assert "stabilise" in browser.run("document.querySelectorAll('.changes details')[3].innerText")
    browser.run("document.querySelectorAll('.changes button.link')[3].click()")
    browser.settle()
    assert browser.run("document.querySelectorAll('.changes button.link')[3].textContent") in browser.run(PANEL)


def test_a_legend_button_hides_its_line(browser, pages):
    browser.open(pages / "run.html")
    before = browser.run(PLOTS)[1]["drawn"]
    browser.run("document.querySelectorAll('.plot')[1].querySelector('.legend button').click()")
    browser.settle()
    assert browser.run("document.querySelectorAll('.plot')[1].querySelector('.legend button').getAttribute('aria-pressed')") == "false"
    assert browser.run(PLOTS)[1]["drawn"] < before - 100


def test_other_colours_are_drawn_when_the_system_changes(browser, pages):
    browser.open(pages / "run.html")
    pixels = "document.querySelector('canvas').toDataURL()"
    before = browser.run(pixels)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    browser.settle()
    assert browser.run(pixels) != before


def test_names_from_users_stay_text(browser, pages):
    browser.open(pages / "hostile.html")
    assert browser.run("document.title") == "</script><script>document.title='broken'</script>"
    assert browser.run("document.querySelectorAll('img, svg[onload], b, i, #report script').length") == 0
    assert "onerror" in browser.run("document.querySelector('.scales').textContent")
    assert browser.run("document.querySelectorAll('script').length") == 3
    hover(browser, "Load", 0.55)
    assert "<!--<script>" in browser.run(PANEL) and "]]></pre></script>" in browser.run(PANEL)
    assert browser.console == []


def test_nothing_else_may_run(browser, pages):
    """The page's policy: what would get in somehow does not run."""
    browser.open(pages / "run.html")
    browser.run("""(() => { const s = document.createElement('script'); s.textContent = "document.title = 'ran'";
                            document.body.append(s); })()""")
    browser.settle()
    assert browser.run("document.title") != "ran"
    assert any("Content Security Policy" in line for line in browser.console)


def test_each_target_can_be_chosen(browser, pages):
    browser.open(pages / "targets.html")
    choose = "(i => { const s = document.querySelector('.chooser select'); s.value = i; s.dispatchEvent(new Event('change')); })"
    browser.run(choose + "('1')")
    browser.settle()
    assert "shop/search scales" in browser.run("document.body.innerText")
    assert "Replicaspods" in titles(browser) and "Pendingpods" not in titles(browser)
    assert "as there was none at any time: load, pending" in browser.run("document.body.innerText")
    assert "The count was never changed." in browser.run("document.body.innerText")
    assert browser.console == []


def test_a_run_without_a_course_has_its_figures(browser, pages):
    browser.open(pages / "bare.html")
    text = browser.run("document.body.innerText")
    assert "The course of this run was not kept." in text and "Pod-hours" in text
    assert browser.console == []


def test_what_is_left_out_is_said(browser, pages):
    browser.open(pages / "cut.html")
    text = browser.run("document.body.innerText")
    kept = browser.run("neap.data.results[0].targets[0].decisions.filter(d => d.rescale).length")
    assert f"Changes (the last {kept} of 44)" in text
    assert "Older decisions are left out here, 7,052 of them" in text
    assert "changes are marked from 2026-01-01 " in text
    assert "281 billion" in text
    assert browser.console == []


def test_policies_are_columns_and_each_has_its_run(browser, pages):
    browser.open(pages / "comparison.html")
    heads = browser.run("[...document.querySelectorAll('.policies thead th')].map(e => e.firstChild.nextSibling.textContent)")
    assert heads == ["HPA as it is", "queue trigger, 60 s window", "tight <and> cheap"]
    rows = browser.run("[...document.querySelectorAll('.policies tbody tr')].map(r => r.innerText)")
    hours = next(r for r in rows if r.startswith("pod-hours"))
    assert "±" in hours and "% , better" not in hours and ", better" in hours
    assert titles(browser) == ["Loadper second", "Replicas readypods", "Replicas wantedpods", "Latency p99", "Waitingrequestsmost", "Cost€ per hour"]
    browser.run("(s => { s.value = '2'; s.dispatchEvent(new Event('change')); })(document.querySelector('.chooser select'))")
    browser.settle()
    assert len(titles(browser)) == 8
    hover(browser, "Load", 0.55)
    assert "of 60%" in browser.run(PANEL)
    assert browser.console == []


def test_tune_shows_the_point_under_the_cursor(browser, pages):
    browser.open(pages / "tune.html")
    assert "recommended" in browser.run("document.querySelector('.point').innerText")
    x, y, width, height = browser.run(AREA % "Searched")
    browser.mouse("mouseMoved", x + width * 0.07, y + height * 0.08)  # the cheapest and worst
    text = browser.run("document.querySelector('.point').innerText")
    assert "averageUtilization: 90" in text and "misses the objective" in text
    x, y, width, height = browser.run(AREA % "Searched")
    browser.mouse("mouseMoved", x + width * 0.30, y + height * 0.13)  # dominated, so it was not run on the held-out part
    assert "held out: not run" in browser.run("document.querySelector('.point').innerText")
    front = browser.run("document.querySelectorAll('.front tbody tr').length")
    assert front == browser.run("neap.data.points.filter(p => p.onFront || p.asGiven || p.recommended).length")


@pytest.mark.parametrize("kind", ["requests", "queue", "cpu"])
def test_the_page_of_a_simulated_run(browser, tmp_path, kind):
    """From the scenario that neapctl writes to the page in the browser."""
    neapctl = os.path.join(BIN, "neapctl")
    subprocess.run([neapctl, "scenario", "init", "--kind", kind, "-o", tmp_path / "world.yaml"], check=True, timeout=120)
    done = subprocess.run([neapctl, "simulate", tmp_path / "world.yaml", "--report", tmp_path / "run.html"], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode in (0, 1), done.stderr  # 1: the objective was missed
    browser.open(tmp_path / "run.html")
    plots = browser.run(PLOTS)
    assert all(plot["drawn"] > 30 for plot in plots), plots
    names = titles(browser)
    assert names[:2] == ["Loadper second", "Replicaspods"] and len(names) >= 3
    if kind == "queue":
        assert "Age of the oldest" in names
    decisions = browser.run("neap.data.results[0].targets[0].decisions.filter(d => d.rescale)")
    assert decisions
    duration = browser.run("neap.data.results[0].duration")
    hover(browser, "Replicas", decisions[0]["at"] / duration)
    assert decisions[0]["reason"] in browser.run(PANEL)
    assert browser.run("document.querySelectorAll('#decision .step').length") >= 3  # the explanation was understood
    assert browser.console == []
