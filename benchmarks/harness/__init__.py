"""What all suites share: data, peers, limits, clocks, results, tables and the command's options."""
