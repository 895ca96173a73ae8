"""The command line with one study more, that of the faults."""

if __name__ == "__main__":
    from flows.cli import main
    from flows.cli_options import quiet

    quiet(False)  # before the study imports what it quiets
    import fault_study

    fault_study.register()
    main()
