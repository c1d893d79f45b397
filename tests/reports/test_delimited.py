"""Fields of the CSV files are written as the csv module writes them."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from reports.formats.delimited import quoted

LETTERS = st.sampled_from(" ,;\"\r\n\t'a=٧\x85\u2028")


@given(st.lists(st.text(LETTERS), min_size=2, max_size=4))
def test_fields_are_quoted_as_the_csv_module_quotes_them(fields):
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\r\n").writerow(fields)
    assert ",".join(map(quoted, fields)) + "\r\n" == written.getvalue()
