import IEEE802154
import Radio

/// Keeps a radio open: a wedged or unplugged one is closed and opened again, with back-off, for ever.
///
/// What happens goes to `report`, in order. A setting that the radio refuses cannot heal, and ends ``run()``.
final class RadioSupervisor: Sendable {
  enum Report: Sendable {
    /// The radio is open; for the first time, or again.
    case up(RadioDescription)
    case frame(CapturedFrame)
    /// It is lost, or could not be opened; the next attempt is made after so long.
    case down(RadioError, retryIn: Duration)
  }

  let driver: any RadioDriver
  private let settings: RadioSettings
  private let report: @Sendable (Report) -> Void
  private static let firstWait = Duration.milliseconds(250)
  private static let longestWait = Duration.seconds(30)

  init(_ driver: any RadioDriver, settings: RadioSettings, report: @escaping @Sendable (Report) -> Void) {
    self.driver = driver
    self.settings = settings
    self.report = report
  }

  /// Ends when its task is cancelled, or by a ``RadioError`` that cannot heal.
  func run() async throws(RadioError) {
    var wait = Self.firstWait
    while !Task.isCancelled {
      do throws(RadioError) {
        let description = try await driver.open(settings)
        report(.up(description))
        let started = ContinuousClock.now
        try await forward()
        // One that worked for a while is tried again at once.
        if started.duration(to: .now) > Self.longestWait { wait = Self.firstWait }
      } catch {
        guard error.canHeal else {
          await driver.close()
          throw error
        }
        report(.down(error, retryIn: wait))
      }
      await driver.close()
      try? await Task.sleep(for: wait)
      wait = min(wait * 2, Self.longestWait)
    }
    await driver.close()
  }

  private func forward() async throws(RadioError) {
    for await event in driver.events {
      switch event {
      case .frame(let frame): report(.frame(frame))
      case .failed(let error): throw error
      }
    }
  }
}
