"""Small tasks with one right answer: `task(rng)` returns one, `worksheet(rng)` a document of several.

A task is (kind, prompt, answer); prompt + " " + answer + "\\n" is its text. The answer can be worked out from the prompt alone.
"""

from words import BOYS, COLORS, GIRLS, TASK_WORDS, THINGS

LARGEST = 20  # of a number in a prompt


def sum_task(rng):
    """Adds two numbers up to 20."""
    a, b = rng.randint(0, LARGEST), rng.randint(0, LARGEST)
    return "sum", f"Question: what is {a} plus {b}?\nAnswer:", str(a + b)


def difference_task(rng):
    """Takes a number up to 20 from one that is not smaller."""
    a, b = sorted((rng.randint(0, LARGEST), rng.randint(0, LARGEST)), reverse=True)
    return "difference", f"Question: what is {a} minus {b}?\nAnswer:", str(a - b)


def larger_task(rng):
    """Names the larger of two different numbers."""
    a, b = rng.sample(range(LARGEST + 1), 2)
    return "larger", f"Question: which is larger, {a} or {b}?\nAnswer:", str(max(a, b))


def sort_task(rng):
    """Sorts three to five different numbers."""
    numbers = rng.sample(range(LARGEST + 1), rng.randint(3, 5))
    return "sort", f"Sort the numbers: {spaced(numbers)}\nAnswer:", spaced(sorted(numbers))


def copy_task(rng):
    """Repeats two to eight words."""
    words = rng.sample(TASK_WORDS, rng.randint(2, 8))
    return "copy", f"Copy the words: {spaced(words)}\nAnswer:", spaced(words)


def reverse_task(rng):
    """Repeats two to five words, last one first."""
    words = rng.sample(TASK_WORDS, rng.randint(2, 5))
    return "reverse", f"Reverse the words: {spaced(words)}\nAnswer:", spaced(reversed(words))


def lookup_task(rng):
    """Finds the value of one of three to eight keys."""
    keys = rng.sample(TASK_WORDS, rng.randint(3, 8))
    table = {key: rng.randint(0, 99) for key in keys}
    wanted = rng.choice(keys)
    listed = ", ".join(f"{key} = {value}" for key, value in table.items())
    return "lookup", f"List: {listed}\nQuestion: what is {wanted}?\nAnswer:", str(table[wanted])


def who_task(rng):
    """Finds who has a thing, among two to five people."""
    count = rng.randint(2, 5)
    people, nouns = rng.sample(GIRLS + BOYS, count), rng.sample(THINGS, count)
    things = [f"{rng.choice(COLORS)} {noun}" for noun in nouns]
    facts = " ".join(f"{person} has a {thing}." for person, thing in zip(people, things))
    wanted = rng.randrange(count)
    return "who", f"{facts}\nQuestion: who has the {things[wanted]}?\nAnswer:", people[wanted]


def spaced(items):
    """The items with one space between them."""
    return " ".join(str(item) for item in items)


TASKS = {"sum": sum_task, "difference": difference_task, "larger": larger_task, "sort": sort_task, "copy": copy_task,
         "reverse": reverse_task, "lookup": lookup_task, "who": who_task}


def task(rng, kind=None):
    """One task of the kind asked for, or of any kind."""
    return TASKS[kind or rng.choice(list(TASKS))](rng)


def solved(rng, kind=None):
    """The text of one task with its answer."""
    _, prompt, answer = task(rng, kind)
    return f"{prompt} {answer}\n"


def worksheet(rng):
    """A document of one to twelve solved tasks: all of one kind, or mixed."""
    kind = rng.choice(list(TASKS)) if rng.random() < 0.6 else None
    return "".join(solved(rng, kind) for _ in range(rng.randint(1, 12)))
