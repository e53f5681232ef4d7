"""The page's pictures are drawn from the simulator, and can be read."""

from xml.etree import ElementTree as ET

from streams.simulator.pictures import draw


def test_a_picture_holds_every_point_and_every_name():
    root = ET.fromstring(draw("Title", ["Mon", "Tue"], {"one": [1.0, 2.0, 4.0], "two": [0.0, 3.0, 1.0]}))
    space = "{http://www.w3.org/2000/svg}"
    points = [[tuple(map(float, point.split(","))) for point in line.attrib["points"].split()] for line in root.iter(space + "polyline")]
    assert [len(line) for line in points] == [3, 3]
    assert points[0][2][1] < points[1][1][1] < points[0][1][1] < points[1][0][1]  # higher values stand higher
    assert {"Title", "Mon", "Tue", "one", "two"} <= {text.text for text in root.iter(space + "text")}
