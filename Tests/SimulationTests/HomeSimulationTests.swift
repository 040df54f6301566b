import Foundation
import Testing
import Wire

/// Fifty nodes, a gateway, a relay and an owner in simulated time: losses, copies, reordering, resets, power cuts, outages.
///
/// PANGATE_SIMULATION_HOURS makes each home run so long, as homes do, instead of twenty minutes with everything more often;
/// PANGATE_SIMULATION_SEEDS=1-100 says which; 1-100 if it does not. A hundred days are for optimised builds.
@Suite("Whole homes", .serialized) struct HomeSimulationTests {
  private static let environment = ProcessInfo.processInfo.environment

  static let seeds: [UInt64] = {
    let bounds = (environment["PANGATE_SIMULATION_SEEDS"] ?? "1-100").split(separator: "-").compactMap { UInt64($0) }
    return bounds.count == 2 && bounds[0] <= bounds[1] ? Array(bounds[0]...bounds[1]) : bounds
  }()

  static func plan(_ seed: UInt64) -> SimulationPlan {
    let hours = environment["PANGATE_SIMULATION_HOURS"].flatMap { Int($0) }
    return hours.map { .day(seed: seed, hours: $0) } ?? .short(seed: seed)
  }

  @Test("Nothing acknowledged is lost, nothing is done twice in effect, all bounds hold", arguments: seeds)
  func seed(_ seed: UInt64) throws {
    let simulation = try HomeSimulation(Self.plan(seed))
    try simulation.run()
    if Self.environment["PANGATE_SIMULATION_STATISTICS"] != nil { print("seed \(seed): \(simulation.summary)") }
    let (ledger, statistics) = (simulation.ledger, simulation.statistics)
    #expect(ledger.problems.isEmpty, "\(ledger.problems)")
    // It is no proof unless something happened, and most of it came off.
    let taken = ledger.reports.values.count { $0.isTaken }
    #expect(taken > 40 && taken * 10 > ledger.reports.count * 8, "\(taken) of \(ledger.reports.count)")
    let executed = ledger.commands.values.count { $0.method != .get && $0.executions > 0 }
    #expect(executed > 10 && executed * 3 > ledger.commands.count, "\(executed) of \(ledger.commands.count)")
    #expect(statistics.powerCuts > 0 && statistics.outages > 0 && statistics.resets > 0)
  }

  @Test("A seed says everything", arguments: [7, 12] as [UInt64]) func determinism(seed: UInt64) throws {
    let runs = try (0..<2).map { _ in
      let simulation = try HomeSimulation(.short(seed: seed))
      try simulation.run()
      return simulation
    }
    #expect(runs[0].digest == runs[1].digest && runs[0].statistics == runs[1].statistics)
    let other = try HomeSimulation(.short(seed: seed + 1))
    try other.run()
    #expect(other.digest != runs[0].digest)
  }
}

extension HomeSimulation {
  /// For people.
  var summary: String {
    let taken = ledger.reports.values.count { $0.isTaken }
    let executed = ledger.commands.values.count { $0.executions > 0 }
    return """
      \(ledger.reports.count) reports, \(taken) taken; \(ledger.commands.count) commands, \(executed) took effect; \
      \(statistics); digest \(digest.value)
      """
  }
}
