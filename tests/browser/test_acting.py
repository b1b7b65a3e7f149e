"""What people do in the page happens, and is what the command line then tells."""

from __future__ import annotations

from tests.support.browsing import Visit
from tests.support.command_line import Box, Gate


def state(box: Box, task: int) -> str:
    return str(box.task(task)["state"])


def test_a_command_is_planned_and_submitted(visit: Visit, home: Box) -> None:
    visit.go("#/new", "textarea[name=command]")
    visit.page.fill("textarea[name=command]", "sh -c 'echo two words'")
    visit.page.fill("input[name=name]", "from-the-page")
    visit.page.fill("input[name=gpus]", "1")
    visit.see("Each asks for")
    visit.see("1 GPU")
    visit.page.get_by_role("button", name="Submit").click()
    visit.page.locator(".head .tag", has_text="succeeded").wait_for()
    task = int(visit.page.url.rsplit("/", 1)[-1].split("?")[0])
    found = home.task(task)
    assert (found["command"], found["name"]) == (["sh", "-c", "echo two words"], "from-the-page")
    visit.see("two words")


def test_what_can_never_fit_is_told_before_it_is_submitted(visit: Visit) -> None:
    visit.go("#/new", "textarea[name=command]")
    visit.page.fill("textarea[name=command]", "true")
    visit.page.fill("input[name=gpus]", "64")
    visit.see("never fit")
    assert visit.page.get_by_role("button", name="Submit").is_disabled()


def test_a_spec_is_checked_while_it_is_typed_and_submitted(visit: Visit, home: Box) -> None:
    visit.go("#/new?view=spec", "textarea[name=spec]")
    visit.page.fill("textarea[name=spec]", "run: typed\ncomand: [echo]\n")
    visit.see("To be mended")
    visit.see("comand")
    good = 'run: typed\ncommand: [echo, "{a}"]\nmatrix: {a: [1, 2]}\n'
    visit.page.fill("textarea[name=spec]", good)
    visit.see("2 cells")
    visit.page.get_by_role("button", name="Submit").click()
    visit.page.wait_for_selector("table.grid tbody tr:nth-child(2)")
    assert len(home.json("ls", "@typed")["tasks"]) == 2


def test_a_task_is_held_released_cancelled_and_retried(visit: Visit, home: Box) -> None:
    gate = Gate(home.folder, "blocker")
    (blocker,) = home.submit("-g", "2", "--", *gate.command("exit 4"))
    (task,) = home.submit("-g", "2", "--name", "next", "--", "true")
    gate.wait_started()
    visit.go(f"#/tasks/{task}", ".reason")
    visit.page.get_by_role("button", name="Hold").click()
    visit.page.locator(".head .tag", has_text="held").wait_for()
    assert state(home, task) == "held"
    visit.page.get_by_role("button", name="Release").click()
    visit.page.locator(".head .tag", has_text="ready").wait_for()
    visit.page.get_by_role("button", name="Cancel").click()
    visit.page.locator("dialog").get_by_role("button", name="Cancel").click()
    visit.page.locator(".head .tag", has_text="cancelled").wait_for()
    assert state(home, task) == "cancelled"
    home.run("hold", str(blocker))
    visit.go(f"#/tasks/{blocker}", '.head .tag:text-is("held")')
    visit.page.get_by_role("button", name="Release").click()
    visit.page.locator(".head .tag", has_text="held").wait_for(state="detached")
    visit.go(f"#/tasks/{task}", '.head .tag:text-is("cancelled")')
    gate.open()
    home.run("wait", str(blocker))
    visit.page.get_by_role("button", name="Retry").click()
    visit.page.locator(".head .tag", has_text="succeeded").wait_for()
    assert home.task(task)["retried_by"] is not None


def test_another_filter_picks_none_so_that_nobody_acts_on_what_is_not_shown(visit: Visit, home: Box) -> None:
    tasks = home.submit("--group", "left", "--hold", "--array", "1-3", "--", "true")
    other = home.submit("--group", "right", "--hold", "--array", "1-2", "--", "true")
    visit.go("#/tasks?group=left", ".line[data-task]")
    visit.page.locator(f".line[data-task='{tasks[0]}'] input").click()
    visit.page.get_by_role("button", name="all 3 that are found").click()
    visit.see("3 picked")
    visit.go("#/tasks?group=right", f".line[data-task='{other[0]}']")
    visit.page.locator(".bulk").wait_for(state="detached")
    visit.page.locator(f".line[data-task='{other[0]}'] input").click()
    visit.see("1 picked")
    visit.page.keyboard.press("u")
    visit.page.locator(".line .tag", has_text="succeeded").wait_for()
    assert [state(home, task) for task in (*tasks, other[1])] == ["held"] * 4


def test_a_group_is_picked_held_and_released_with_those_inside_it(visit: Visit, home: Box) -> None:
    tasks = [home.submit("--group", f"nest/{name}", "--hold", "--", "true")[0] for name in ("a", "b")]
    visit.go("#/tasks", ".tree")
    visit.page.locator(".tree button", has_text="nest").click()
    visit.page.locator(f".line[data-task='{tasks[1]}']").wait_for()
    visit.page.get_by_role("button", name="Hold this group").click()
    visit.page.get_by_role("button", name="Release this group").click()
    home.run("wait", *map(str, tasks))
    assert [state(home, task) for task in tasks] == ["succeeded"] * 2
    visit.page.locator(f".line[data-task='{tasks[0]}'] input").click()
    visit.page.get_by_role("button", name="all 2 that are found").wait_for()


def test_many_tasks_are_picked_and_cancelled_together(visit: Visit, home: Box) -> None:
    tasks = home.submit("--name", "many", "--group", "bulk", "--hold", "--array", "1-5", "--", "true")
    visit.go("#/tasks?group=bulk", ".line[data-task]")
    visit.page.locator(f".line[data-task='{tasks[0]}'] input").click()
    visit.see("1 picked")
    visit.page.get_by_role("button", name="all 5 that are found").click()
    visit.page.get_by_role("toolbar").get_by_role("button", name="Priority").click()
    visit.page.get_by_role("textbox", name="Priority").fill("7")
    visit.page.get_by_role("button", name="Set").click()
    visit.see("5 tasks given priority 7", within=".messages")
    assert {home.task(task)["priority"] for task in tasks} == {7}
    visit.page.locator(f".line[data-task='{tasks[0]}'] input").click()
    visit.page.get_by_role("button", name="all 5 that are found").click()
    visit.page.get_by_role("toolbar").get_by_role("button", name="Cancel").click()
    visit.page.locator("dialog").get_by_role("button", name="Cancel").click()
    visit.see("5 tasks cancelled", within=".messages")
    assert {state(home, task) for task in tasks} == {"cancelled"}


def test_what_the_engine_refuses_is_said(visit: Visit) -> None:
    visit.go("#/tasks/999999", ".failure")
    visit.see("there is no task 999999")
    visit.wrong = [line for line in visit.wrong if "404" not in line]
