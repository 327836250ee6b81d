"""Answers at the edge of what a value can be, and mistakes."""

from mix import Case, Undefined, needs, plugin

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


Family = plugin("demo", arrays, cases, hole, member, mistake, later)
