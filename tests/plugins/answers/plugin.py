"""Answers at the edge of what a value can be, and mistakes."""

from mix import Case, Failure, Undefined, needs, plugin

Needs = needs()


def around(levels, value, wrap):
    for _ in range(levels):
        value = wrap(value)
    return value


def arrays(levels):
    """Arrays in arrays.

    Type: number -> data
    """
    return around(levels - 1, [], lambda value: [value])


def cases(levels):
    """Cases in cases.

    Type: number -> data
    """
    return around(levels, None, lambda value: Case("some", value))


def hole():
    """An array with an undefined item.

    Type: null -> data
    """
    return [1, Undefined()]


def member():
    """A map with an undefined member.

    Type: null -> data
    """
    return {"a": Undefined(), "b": 1}


def mistake():
    """Fails by a mistake.

    Type: null -> data
    """
    return None.length


def later():
    """A stream that fails by a mistake.

    Type: null -> stream(number)
    """
    yield 1
    yield None.length


def halves():
    """Texts of units that are no characters by themselves.

    Type: null -> data
    """
    return {"alone\ud800": ["a\ud800b", "\ud83d\ude00"]}


def complains():
    """Fails with such a text.

    Type: null -> data
    """
    raise Failure("ERR_MINE", "a\ud800b")


def stumbles():
    """Fails with such a text by a mistake.

    Type: null -> data
    """
    raise ValueError("a\ud800b")


async def breaks_off():
    """A stream that fails with such a text.

    Type: null -> stream(number)
    """
    yield 1
    raise Failure("ERR_MINE", "a\ud800b")


def misnamed():
    """A case whose name is none.

    Type: null -> data
    """
    return Case("a b", 1)


Family = plugin(
    "demo",
    arrays,
    cases,
    hole,
    member,
    mistake,
    later,
    halves,
    complains,
    stumbles,
    breaks_off,
    misnamed,
    **{"$other_hole": hole},
)
