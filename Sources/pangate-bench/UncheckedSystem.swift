import Glibc

// The only file of this module that holds `unsafe`: two calls of the C library.

/// CPU time that this process has used, nanoseconds.
func processorNanoseconds() -> Int64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

/// Writes a line to standard error.
func complain(_ message: String) {
  let line = Array("pangate-bench: \(message)\n".utf8)
  unsafe _ = write(STDERR_FILENO, line, line.count)
}
