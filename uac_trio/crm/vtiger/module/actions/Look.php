<?php
/**
 * index.php?module=UacCompanion&action=Look: the CRM's own search for ringing calls.
 *
 * Asked here and not at PBXManager's IncomingCallPoll, which holds the session's lock while it searches, and makes the
 * CRM send who is logged out to its JSON after the next login. What the user may see, the CRM decides.
 */
require_once 'modules/UacCompanion/UacCompanion.php';

class UacCompanion_Look_Action extends Vtiger_Action_Controller {
    public function loginRequired() {
        return false;
    }

    public function checkPermission(Vtiger_Request $request) {
        return true;  // the search has its own, below
    }

    public function process(Vtiger_Request $request) {
        session_write_close();
        $off = UacCompanion::off();
        if ($off === '' && !Users_Privileges_Model::isPermitted('PBXManager', 'ReceiveIncomingCalls')) {
            $off = 'not-permitted';
        }
        if ($off !== '') {
            $response = new Vtiger_Response();
            $response->setResult(array('off' => $off));
            $response->emit();
            return;
        }
        $search = new PBXManager_IncomingCallPoll_Action();
        $request->set('module', 'PBXManager');
        $search->checkPermission($request);
        $search->searchIncomingCalls($request);
    }
}
