"""What everything else is made of: parameters, random numbers, configuration, files, warnings."""
