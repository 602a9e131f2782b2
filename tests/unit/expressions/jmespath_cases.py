"""Expressions that use every part of JMESPath, to compare with the library's own interpreter."""

CASES = (
    "t", "nothing", "o.k", "o.*", "a[0].x", "a[-1]", "a[99]", "a[1:3]", "a[::-1].x", "a[*].y[]",
    "a[].y[0]", "a[?x > `3`].t", "a[?x == `3` || t == 't4']", "a[?!(x)]", "a[*].[x, t]",
    "a[*].{b: x, c: t}", "o | l[0]", "o.l == o.l", "o.l != a", "t < 'b'", "o == o",
    "`1` == `true`", "`[1, 2]` == `[1, 2]`", "!t", "!`0`", "t && o.k", "nothing || t", "@ | t",
    "abs(`-1`)", "avg(a[*].x)", "contains(a[*].x, `3`)", "contains(t, 'text')", "ceil(`1.2`)",
    "ends_with(t, 'xt')", "floor(`1.9`)", "join('-', a[*].t)", "keys(o)", "length(a)",
    "length(t)", "map(&x, a)", "max(a[*].x)", "max_by(a, &x).t", "merge(o, {z: t})",
    "min(a[*].t)", "min_by(a, &x).t", "not_null(nothing, t)", "reverse(a)[0].x", "reverse(t)",
    "sort(a[*].t)", "sort_by(a, &t)[0].x", "starts_with(t, 'a')", "sum(a[*].x)", "to_array(t)",
    "to_number('12')", "to_string(o)", "type(o)", "values(o)", "a[*].x | [?@ > `2`] | sum(@)",
)  # fmt: skip
