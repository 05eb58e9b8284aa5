from novita_gpu.cli import main

main()
