"""Answers for patterns and inputs, a JSON array a line on standard input: [pattern, input, ...].

A line of answer: the size of the program, then 1 for each input that matches whole and 0 for each
that does not; nothing where RE2 refuses the pattern. An input has a character for each byte.
"""
import json
import sys

import re2

options = re2.Options()
options.encoding = re2.Options.Encoding.LATIN1
options.log_errors = False
for line in sys.stdin:
    pattern, *inputs = json.loads(line)
    try:
        compiled = re2.compile(pattern.encode(), options)
    except re2.error:
        print()
        continue
    matches = (compiled.fullmatch(it.encode("latin-1")) is not None for it in inputs)
    print(compiled.programsize, "".join("1" if it else "0" for it in matches))
