"""How a false-alert rate is kept: the alerts of null histories are counted, by the same schedule, scan and tracker."""
