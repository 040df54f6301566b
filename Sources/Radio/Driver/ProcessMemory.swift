import CNetlink

/// Keeps what the process holds close to what it uses, on boxes that have little.
public enum ProcessMemory {
  /// One arena of malloc for all threads, which otherwise each keep their own. Call it before there are other threads.
  public static func limitArenas() { pangate_limit_arenas(1) }

  /// Gives freed memory back to the system if it is more than `threshold` bytes.
  public static func trim(above threshold: Int) { pangate_trim_memory(threshold) }

  /// Lets go of code that was needed once, at the start; what is in use comes back by itself.
  public static func forgetCode() { pangate_forget_code() }
}
