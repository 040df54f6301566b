import Foundation
import Testing
import Wire

/// Fifty nodes, a gateway, a relay and an owner in simulated time: losses, copies, reordering, resets, power cuts, outages.
///
/// PANGATE_SIMULATION_HOURS makes each home run so long instead of one hour with everything more often;
/// PANGATE_SIMULATION_SEEDS=1-100 says which; 1-50 if it does not.
@Suite("Whole homes", .serialized) struct HomeSimulationTests {
  private static let environment = ProcessInfo.processInfo.environment

  static let seeds: [UInt64] = {
    let bounds = (environment["PANGATE_SIMULATION_SEEDS"] ?? "1-50").split(separator: "-").compactMap { UInt64($0) }
    return bounds.count == 2 && bounds[0] <= bounds[1] ? Array(bounds[0]...bounds[1]) : bounds
  }()

  static func plan(_ seed: UInt64) -> SimulationPlan {
    guard let hours = environment["PANGATE_SIMULATION_HOURS"].flatMap({ Int($0) }) else { return .short(seed: seed) }
    var plan = SimulationPlan(seed: seed)
    plan.isTight = seed.isMultiple(of: 3)
    plan.span = .seconds(hours * 3600)
    return plan
  }

  @Test("Nothing acknowledged is lost, nothing is done twice in effect, all bounds hold", arguments: seeds)
  func seed(_ seed: UInt64) throws {
    let simulation = try HomeSimulation(Self.plan(seed))
    try simulation.run()
    #expect(simulation.ledger.problems.isEmpty, "\(simulation.ledger.problems.prefix(20))")
    // It is no proof unless something happened.
    #expect(!simulation.ledger.reports.isEmpty && !simulation.ledger.commands.isEmpty)
  }

  @Test("A seed says everything")
  func determinism() throws {
    let digests = try (0..<2).map { _ in
      let simulation = try HomeSimulation(.short(seed: 7))
      try simulation.run()
      return simulation.digest.value
    }
    #expect(digests[0] == digests[1])
  }
}
